import numpy as np
import pytest
import soxr
from piper import PiperVoice, SynthesisConfig

from aura_core.evaluation.items import Item
from aura_core.ingest.utterances import encode_audio
from aura_core.models.pinned import locate


@pytest.fixture(scope="session")
def speak():
    """A real voice: text -> float32 [samples] at 16 kHz."""
    voice = PiperVoice.load(locate("joe-medium"))
    always_the_same = SynthesisConfig(noise_scale=0, noise_w_scale=0)

    def speak_text(text):
        chunks = list(voice.synthesize(text, always_the_same))
        audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return soxr.resample(audio, chunks[0].sample_rate, 16_000).astype(np.float32)

    return speak_text


@pytest.fixture(scope="session")
def spoken_item(speak):
    """An utterance as an item of the task transcribe."""

    def make(text):
        audio = speak(text)
        flac, _ = encode_audio(audio)
        return Item(text, "Transcribe.", (text,), text, len(audio) / 16_000, flac)

    return make


@pytest.fixture
def row():
    """A row of the utterance table, with a short ramp for audio."""
    flac, digest = encode_audio(np.linspace(-0.5, 0.5, 1600, dtype=np.float32))

    def make(utterance_id, text, split="heldout", response=None):
        return {
            "id": utterance_id,
            "text": text,
            "instruction": None if response is None else "What is wanted?",
            "response": response,
            "speaker": None,
            "split": split,
            "family": None,
            "duration_s": 0.1,
            "source_sample_rate": 16_000,
            "avg_logprob": None,
            "audio": {"bytes": flac, "path": "a.flac"},
            "digest": digest,
        }

    return make
