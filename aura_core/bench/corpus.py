"""Utterances of an ingest artifact for a benchmark: the same ones every time."""

from typing import Any

from aura_core.corpus.table import read_table, shuffled
from aura_core.errors import AuraError


def sample_rows(ingest_uri: str, split: str, limit: int | None) -> list[dict[str, Any]]:
    """Return rows of a split, in an order that does not follow the corpus, audio included.

    Raises:
        AuraError: if the split holds no utterance.
    """
    rows: list[dict[str, Any]] = read_table(ingest_uri, splits=[split]).to_pylist()
    if not rows:
        raise AuraError(f"{ingest_uri} has no utterance in the split {split}")
    return shuffled(rows)[:limit]
