"""The parts of the utterance table a plan and a shard need, and no more."""

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.cache.plan import Candidate
from aura_core.errors import AuraError

_FOLDER = "utterances"
_COLUMNS = [
    "id", "text", "instruction", "response", "speaker", "split", "family", "duration_s", "audio",
]  # fmt: skip


def list_candidates(ingest_uri: str, splits: Sequence[str]) -> list[Candidate]:
    """Return the utterances of some splits, in table order; no audio is read.

    Raises:
        AuraError: if there is no table or no utterance in these splits.
    """
    folder = store.join(ingest_uri, _FOLDER)
    parts = [name for name in store.list_names(folder) if name.endswith(".parquet")]
    if not parts:
        raise AuraError(f"{ingest_uri} holds no utterance table: run the ingest stage first")
    fs, root = store.filesystem(folder)
    candidates: list[Candidate] = []
    seen: set[str] = set()
    for part in parts:
        table = pq.read_table(
            f"{root}/{part}",
            filesystem=fs,
            columns=["id", "duration_s", "split"],
            partitioning=None,
        )
        for row in table.to_pylist():
            seen.add(row["split"])
            if row["split"] in splits:
                candidates.append(Candidate(row["id"], row["duration_s"], part))
    if not candidates:
        raise AuraError(
            f"no utterance in the splits {list(splits)}: the corpus has {sorted(seen)}; "
            "set teacher_cache.splits"
        )
    return candidates


def read_utterances(
    ingest_uri: str, parts: Sequence[str], ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Read the rows with these ids, audio included, in the order of `ids`.

    Raises:
        AuraError: if one is not in these parts.
    """
    fs, root = store.filesystem(store.join(ingest_uri, _FOLDER))
    rows: dict[str, dict[str, Any]] = {}
    for part in parts:
        table = pq.read_table(
            f"{root}/{part}",
            filesystem=fs,
            columns=_COLUMNS,
            filters=[("id", "in", set(ids))],
            partitioning=None,
        )
        rows |= {row["id"]: row for row in table.to_pylist()}
    missing = [name for name in ids if name not in rows]
    if missing:
        raise AuraError(
            f"{ingest_uri} no longer holds utterance {missing[0]}: it was changed after planning; "
            "delete the teacher cache and run again"
        )
    return [rows[name] for name in ids]
