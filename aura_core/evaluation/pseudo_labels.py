"""References that an ASR wrote: a word error rate against them is a distance from that ASR."""

from collections.abc import Iterable

from aura_core.artifacts.manifest import require_manifest
from aura_core.corpus.table import read_table
from aura_core.evaluation.question_sets import TRANSCRIPTION


def reference_writers(ingest_uri: str, splits: Iterable[str]) -> dict[str, str]:
    """A row's `task` -> the ASR that wrote references of it, for the splits where one did.

    Raises:
        AuraError: if the ingest artifact is incomplete.
    """
    table = read_table(ingest_uri, columns=["split", "avg_logprob"])
    # Only a transcript by the ASR has a log-probability.
    written = {row["split"] for row in table.to_pylist() if row["avg_logprob"] is not None}
    found = sorted(written & set(splits))
    if not found:
        return {}
    asr = str(require_manifest(ingest_uri).identity["asr"])
    return {f"{TRANSCRIPTION}/{split}": asr for split in found}


def judges_itself(ingest_uri: str, asr_digest: str) -> bool:
    """Whether the ASR that wrote the references is the one of this content that is evaluated."""
    return bool(require_manifest(ingest_uri).identity["pinned"]["asr"] == asr_digest)
