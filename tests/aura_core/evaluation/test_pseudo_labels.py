import numpy as np
import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.corpus.table import encode_audio, write_table
from aura_core.evaluation.pseudo_labels import judges_itself, reference_writers


@pytest.fixture
def ingest(tmp_path):
    """A corpus with one transcript of the ASR in `heldout` and none in `voice`."""
    flac, digest = encode_audio(np.zeros(1600, dtype=np.float32))
    rows = [
        {
            "id": f"{split}{number}", "text": "hello", "instruction": None, "response": None,
            "speaker": None, "split": split, "family": None, "duration_s": 0.1,
            "source_sample_rate": 16_000, "avg_logprob": logprob,
            "audio": {"bytes": flac, "path": "a.flac"}, "digest": digest,
        }
        for split, logprobs in {"heldout": (None, -0.3), "voice": (None,)}.items()
        for number, logprob in enumerate(logprobs)
    ]  # fmt: skip
    write_table(str(tmp_path), rows)
    write_manifest(
        str(tmp_path),
        Manifest(stage="ingest", stage_version=1, fingerprint="f", inputs={}, files=[],
                 identity={"asr": "whisper:small", "pinned": {"asr": "abc"}}),
    )  # fmt: skip
    return str(tmp_path)


def test_one_transcript_of_an_asr_is_enough(ingest):
    found = reference_writers(ingest, ["heldout", "voice"])
    assert found == {"transcribe/heldout": "whisper:small"}
    assert reference_writers(ingest, ["voice"]) == {}


def test_an_asr_is_known_by_its_content(ingest):
    assert judges_itself(ingest, "abc")
    assert not judges_itself(ingest, "abd")
