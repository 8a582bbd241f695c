import dataclasses
import shutil
from collections import Counter

import jiwer
import numpy as np
import pytest
import torch
from piper.phonemize_espeak import EspeakPhonemizer
from whisper.normalizers import EnglishTextNormalizer

from aura_core.config.run import DemoCorpusConfig
from aura_core.config.voices import ESPEAK_VOICES, FLITE_COMMANDS, VOICE
from aura_core.errors import AuraError
from aura_core.ingest import synthesis
from aura_core.ingest.grammar import Sentence, grammar_text, parse_grammar, plan_corpus
from aura_core.ingest.ingest import transcribe
from aura_core.ingest.synthesis import (
    KINDS,
    Synthesizer,
    add_noise,
    noise,
    set_level,
    speak,
    speak_as,
    trim_silence,
)
from aura_core.ingest.utterances import decode_audio
from aura_core.models.pinned import locate
from aura_core.models.references import parse
from aura_core.models.whisper_encoder import load_whisper


class Draws:
    """A generator that draws a kind of noise, and the rest at random."""

    def __init__(self, kind, seed=0):
        self._kind = kind
        self._draw = np.random.default_rng(seed)

    def choice(self, values):
        return self._kind if tuple(values) == KINDS else self._draw.choice(values)

    def __getattr__(self, name):
        return getattr(self._draw, name)


def tilt_db(audio):
    """By how much 250 to 500 Hz are louder than 4 to 8 kHz, a hertz each."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / 16_000)
    low, high = (power[(hz > a) & (hz < b)].mean() for a, b in ((250, 500), (4000, 8000)))
    return 10 * np.log10(low / high)


def test_it_depends_on_the_draw_alone():
    one, again, other = (noise(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert len(one) != len(other)


def test_lengths_and_levels_are_spread():
    clips = [noise(np.random.default_rng(seed)) for seed in range(300)]
    seconds = [len(clip) / 16_000 for clip in clips]
    assert 0.5 <= min(seconds) < 0.6
    assert 2.9 < max(seconds) <= 3.0
    peaks = [float(np.abs(clip).max()) for clip in clips]
    assert max(peaks) == pytest.approx(10 ** (-3 / 20), rel=0.1)
    # Some are silent, and the quietest of the others hardly more.
    assert 20 < Counter(peaks)[0.0] < 80
    assert 1 < 32767 * min(peak for peak in peaks if peak) < 20


@pytest.mark.parametrize(("kind", "tilt"), [("white", 0), ("pink", 12), ("brown", 24)])
def test_colours_fall_by_so_much_an_octave(kind, tilt):
    # Four octaves lie between the two bands.
    found = [tilt_db(noise(Draws(kind, seed))) for seed in range(8)]
    assert np.mean(found) == pytest.approx(tilt, abs=1.5)


def test_hum_is_periodic_and_clicks_are_short():
    hum, clicks = (noise(Draws(kind)) for kind in ("hum", "clicks"))
    power = np.abs(np.fft.rfft(hum)) ** 2
    hz = np.fft.rfftfreq(len(hum), 1 / 16_000)
    assert power[(hz > 45) & (hz < 400)].sum() > 0.9 * power.sum()
    assert np.mean(np.abs(clicks) < 0.1 * np.abs(clicks).max()) > 0.8


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
    monkeypatch.setattr(synthesis, "piper_folder", lambda: tmp_path)
    synthesis._library_copy.cache_clear()
    with pytest.raises(AuraError, match="install piper-tts anew"):
        speak(TEXT, "en-us", 170)


CPU = torch.device("cpu")

CONFIG = DemoCorpusConfig()
SENTENCES = plan_corpus(parse_grammar(grammar_text()), CONFIG)[:3]


def synthesizer(second="espeak-ng", seed="0"):
    return Synthesizer(locate(parse(VOICE).name), second, CONFIG, seed)


@pytest.fixture(scope="module")
def rows():
    voice = synthesizer()
    return [voice.speak(utterance) for utterance in SENTENCES]


def test_same_chunk_same_audio(rows):
    voice = synthesizer()
    assert [voice.speak(utterance) for utterance in SENTENCES] == rows


def test_another_seed_gives_other_audio(rows):
    assert synthesizer(seed="1").speak(SENTENCES[0])["digest"] != rows[0]["digest"]


def test_speech_is_short_and_understood_by_whisper(rows):
    normalise = EnglishTextNormalizer()
    model = load_whisper("pinned:whisper-tiny.en", CPU)
    labels = [transcribe(model, decode_audio(row["audio"]["bytes"])) for row in rows]
    said = [normalise(row["text"]) for row in rows]
    assert jiwer.wer(said, [normalise(label.text) for label in labels]) < 0.35
    assert all(-1 < label.avg_logprob < 0 for label in labels)
    assert all(0.8 < row["duration_s"] < 3.5 for row in rows)
    assert rows[0]["response"] == SENTENCES[0].sentence.meaning


def test_a_pitch_factor_moves_the_pitch_and_keeps_the_tempo():
    def row(pitch, split="train"):
        config = CONFIG.model_copy(update={"pitch_factor": (pitch, pitch)})
        voice = Synthesizer(locate(parse(VOICE).name), "espeak-ng", config, "0")
        return voice.speak(dataclasses.replace(SENTENCES[0], split=split))

    plain, high = row(1.0), row(1.3)
    assert high["duration_s"] == pytest.approx(plain["duration_s"], rel=0.15)
    assert high["source_sample_rate"] == round(1.3 * plain["source_sample_rate"])
    pitches = [pitch_hz(decode_audio(each["audio"]["bytes"])) for each in (plain, high)]
    assert pitches[1] / pitches[0] == pytest.approx(1.3, rel=0.12)
    # What is tested on sounds as it always did.
    assert row(1.3, "heldout")["digest"] == row(1.0, "heldout")["digest"]


def test_a_telephone_takes_what_lies_above_4_khz_from_a_share_of_the_training_clips():
    def rows(share, split="train", count=8):
        config = CONFIG.model_copy(update={"telephone_share": share})
        voice = Synthesizer(locate(parse(VOICE).name), "espeak-ng", config, "0")
        named = [
            dataclasses.replace(SENTENCES[0], id=f"clip-{i}", split=split) for i in range(count)
        ]
        return [voice.speak(each) for each in named]

    def high(row):
        power = np.abs(np.fft.rfft(decode_audio(row["audio"]["bytes"]))) ** 2
        hz = np.linspace(0, 8000, len(power))
        return power[hz > 4200].mean() / power[hz < 3800].mean()

    plain, mixed = rows(0.0), rows(1.0)
    lengths = [[row["duration_s"] for row in each] for each in (plain, mixed)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-3)
    lost = [10 * np.log10(high(a) / high(b)) for a, b in zip(plain, mixed, strict=True)]
    # With the noise all is lost; before it, the noise remains.
    assert min(lost) > 1
    assert max(lost) > 20
    assert rows(1.0, "heldout", 1) == rows(0.0, "heldout", 1)


def pitch_hz(samples):
    """Median of the fundamental over voiced frames, by their autocorrelation."""
    found = []
    for start in range(0, len(samples) - 800, 400):
        frame = samples[start : start + 800] - samples[start : start + 800].mean()
        correlation = np.correlate(frame, frame, "full")[799:]
        lag = 50 + int(correlation[50:260].argmax())  # 61 to 320 Hz at 16 kHz
        if correlation[lag] > 0.6 * correlation[0] and np.abs(frame).max() > 0.1:
            found.append(16_000 / lag)
    return float(np.median(found))


def test_random_words_ask_nothing_of_the_assistant():
    sentence = Sentence(None, "", (), "bell oven nine")
    row = synthesizer().speak(dataclasses.replace(SENTENCES[0], sentence=sentence))
    assert row["text"] == "bell oven nine"
    assert [row[name] for name in ("instruction", "response", "family")] == [None] * 3


def test_a_sentence_without_words_is_noise_and_moves_no_other(rows):
    voice, quiet = synthesizer(), Sentence(None, "", (), "")
    first = voice.speak(SENTENCES[0])
    noisy = voice.speak(dataclasses.replace(SENTENCES[2], sentence=quiet))
    assert [first, voice.speak(SENTENCES[1])] == rows[:2]
    assert noisy == voice.speak(dataclasses.replace(SENTENCES[2], sentence=quiet))
    assert (noisy["text"], noisy["split"], noisy["source_sample_rate"]) == ("", "train", 16_000)
    assert [noisy[name] for name in ("instruction", "response", "speaker")] == [None] * 3
    assert 0.5 <= noisy["duration_s"] <= 3.0
    assert len(decode_audio(noisy["audio"]["bytes"])) == round(noisy["duration_s"] * 16_000)


def test_second_voice_sounds_different(rows):
    utterance = dataclasses.replace(SENTENCES[0], split="voice")
    row = synthesizer().speak(utterance)
    assert row["speaker"] == "espeak-ng"
    assert row["text"] == rows[0]["text"]
    assert row["digest"] != rows[0]["digest"]


def test_espeak_clips_do_not_depend_on_what_was_spoken_before():
    first = dataclasses.replace(SENTENCES[0], split="voice")
    second = dataclasses.replace(SENTENCES[1], split="voice")
    voice = synthesizer(seed="1")
    voice.speak(second)
    assert voice.speak(first) == synthesizer().speak(first)


def test_espeak_has_voices_of_its_own_and_keeps_the_pace_it_is_given():
    spoken = [speak_as(name, "open the door")[0] for name in ESPEAK_VOICES]
    assert all(0.5 < len(audio) / 22_050 < 3 for audio in spoken)
    assert len({audio.tobytes() for audio in spoken}) == len(ESPEAK_VOICES)
    slow = speak_as("espeak-ng", "open the door", length_scale=1.3)[0]
    assert len(slow) > 1.15 * len(spoken[0])


@pytest.mark.skipif(not shutil.which("flite"), reason="no flite on this machine")
def test_flite_has_four_voices_of_its_own():
    spoken = [speak_as(name, "open the door") for name in FLITE_COMMANDS if ":" in name]
    assert all(rate == 16_000 and 0.5 < len(audio) / rate < 3 for audio, rate in spoken)
    assert len({audio.tobytes() for audio, _ in spoken}) == 4


def test_a_worker_without_the_synthesiser_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AuraError, match="flite:slt needs flite, which is not installed"):
        speak_as("flite:slt", "open the door")


def test_training_voices_share_the_sentences(monkeypatch):
    monkeypatch.setattr(synthesis, "speak_as", lambda *_: (np.ones(8000, "f4"), 16_000))
    config = CONFIG.model_copy(update={"train_voices": ("piper", "flite:slt", "flite:awb")})
    voices = Synthesizer(locate(parse(VOICE).name), "espeak-ng", config, "0")
    spoken = [
        dataclasses.replace(SENTENCES[0], id=f"{split}-{number}", split=split)
        for number in range(20)
        for split in ("train", "heldout", "voice")
    ]
    speakers = Counter((each.split, voices.speak(each)["speaker"]) for each in spoken)
    assert speakers["voice", "espeak-ng"] == 20
    # The sentences are what is new there, not the voice.
    assert speakers["heldout", "piper"] == 20
    assert min(speakers["train", name] for name in config.train_voices) >= 2
    assert len(speakers) == 5


def test_silence_is_trimmed_to_a_margin():
    audio = np.zeros(16_000, dtype="f4")
    audio[6000:8000] = 0.5
    assert len(trim_silence(audio, 16_000)) == pytest.approx(2000 + 2 * 0.08 * 16_000, abs=2)


def test_noise_and_level_are_as_asked():
    speech = np.sin(np.arange(16_000) / 10).astype("f4")
    noisy = add_noise(speech, 20.0, np.random.default_rng(0))
    snr_db = 10 * np.log10(np.mean(speech**2) / np.mean((noisy - speech) ** 2))
    assert snr_db == pytest.approx(20, abs=0.3)
    assert np.abs(set_level(speech, -6.0)).max() == pytest.approx(10 ** (-6 / 20), rel=1e-4)
