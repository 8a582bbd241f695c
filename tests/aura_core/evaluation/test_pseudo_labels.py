import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.corpus.table import write_table
from aura_core.evaluation.pseudo_labels import judges_itself, reference_writers
from tests.utterance_rows import utterance_row


@pytest.fixture
def ingest(tmp_path):
    """A corpus with one transcript of the ASR in `heldout` and none in `voice`."""
    rows = [
        utterance_row(f"{split}{number}", split=split, avg_logprob=logprob)
        for split, logprobs in {"heldout": (None, -0.3), "voice": (None,)}.items()
        for number, logprob in enumerate(logprobs)
    ]
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
