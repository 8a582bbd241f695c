import numpy as np
import pytest
import soxr
from piper import PiperVoice

from aura_core.corpus.table import encode_audio
from aura_core.evaluation.items import Item
from aura_core.models.pinned import locate


@pytest.fixture(scope="session")
def speak():
    """A real voice: text -> float32 [samples] at 16 kHz."""
    voice = PiperVoice.load(locate("joe-medium"))

    def speak_text(text):
        chunks = list(voice.synthesize(text))
        audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return soxr.resample(audio, chunks[0].sample_rate, 16_000).astype(np.float32)

    return speak_text


@pytest.fixture(scope="session")
def spoken_item(speak):
    """An utterance as an item of the task transcribe."""

    def make(text):
        audio = speak(text)
        flac, _ = encode_audio(audio)
        return Item(text, "Transcribe.", text, text, len(audio) / 16_000, flac)

    return make
