"""One clean sentence of real neural speech, and the pinned teacher."""

import numpy as np
import pytest
import soxr
import torch
from piper import PiperVoice, SynthesisConfig

from aura_core.models.pinned import locate
from aura_core.models.whisper_encoder import load_whisper

CPU = torch.device("cpu")

SENTENCE = "She opened the window because the room was too warm."


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    voice = PiperVoice.load(str(locate("joe-medium")))
    # Without noise piper says the same every time.
    chunks = list(voice.synthesize(SENTENCE, SynthesisConfig(noise_scale=0, noise_w_scale=0)))
    audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
    return soxr.resample(audio, chunks[0].sample_rate, 16_000).astype(np.float32)


@pytest.fixture(scope="session")
def teacher():
    return load_whisper("pinned:whisper-tiny.en", CPU)
