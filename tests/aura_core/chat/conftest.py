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


DENSE = [{"positions": "audio"}, {"positions": "all", "attention": "chunked", "chunk_positions": 3}]
CTC = [{**each, "handover": "ctc"} for each in DENSE]


@pytest.fixture(
    scope="module", params=DENSE + CTC, ids=["gated", "merged", "ctc_gated", "ctc_merged"]
)
def artifact(request, artifact_of):
    """A student of each kind, as a distil stage saves it."""
    return str(artifact_of(**request.param))
