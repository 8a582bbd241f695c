import numpy as np
import pytest

from aura_core.turns import Turn


@pytest.fixture(scope="session")
def clip():
    def make(seconds, seed=0):
        generator = np.random.default_rng(seed)
        return (0.1 * generator.standard_normal(round(seconds * 16000))).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def conversation(clip):
    """Text, an answer, and two clips in two user turns."""
    return [
        Turn("system", ("Be brief.",)),
        Turn("user", (clip(1.3), "Transcribe.")),
        Turn("assistant", ("turn it on",)),
        Turn("user", ("And what is that: 🎧?", clip(0.4, seed=1))),
    ]
