import numpy as np
import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from aura_core.corpus import espeak
from aura_core.corpus.espeak import speak
from aura_core.errors import AuraError

TEXT = "turn on the garage light"


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3"])
def test_the_same_words_sound_the_same_whatever_was_said_before(voice):
    first, rate = speak(TEXT, voice, 170)
    speak("what is the weather in paris", "en-us+m3", 200)
    again, _ = speak(TEXT, voice, 170)
    assert rate == 22_050
    assert first.dtype == np.float32
    assert 1 < len(first) / rate < 3
    assert 0.1 < np.abs(first).max() <= 1
    assert np.array_equal(first, again)


def test_piper_gets_the_phonemes_it_got_before():
    phonemizer = EspeakPhonemizer()
    before = phonemizer.phonemize("en-us", TEXT)
    speak(TEXT, "en-gb-scotland+f2", 300)
    assert phonemizer.phonemize("en-us", TEXT) == before


def test_an_unknown_voice_is_named():
    with pytest.raises(AuraError, match="no voice 'xx-nowhere'"):
        speak(TEXT, "xx-nowhere", 170)


def test_a_piper_without_the_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(espeak, "piper_folder", lambda: tmp_path)
    espeak._library_copy.cache_clear()
    with pytest.raises(AuraError, match="install piper-tts anew"):
        speak(TEXT, "en-us", 170)
