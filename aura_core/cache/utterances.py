"""The parts of the utterance table a plan and a shard need, and no more."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.cache.plan import Part, ShardPlan, Slice
from aura_core.corpus.table import DESCRIPTION_SCHEMA
from aura_core.errors import AuraError

_FOLDER = "utterances"
_COLUMNS = [*DESCRIPTION_SCHEMA.names, "audio"]


def list_parts(ingest_uri: str, splits: Sequence[str]) -> Iterator[Part]:
    """Yield the files of the table, in order; no audio is read.

    Raises:
        AuraError: if there is no table or no utterance in these splits.
    """
    folder = store.join(ingest_uri, _FOLDER)
    names = [name for name in store.list_names(folder) if name.endswith(".parquet")]
    if not names:
        raise AuraError(f"{ingest_uri} holds no utterance table: run the ingest stage first")
    fs, root = store.filesystem(folder)
    seen: set[str] = set()
    for name in names:
        table = pq.read_table(
            f"{root}/{name}", filesystem=fs, columns=["duration_s", "split"], partitioning=None
        )
        split = table["split"].to_numpy()
        seen.update(table["split"].unique().to_pylist())
        yield Part(
            name=name, duration_s=table["duration_s"].to_numpy(), wanted=np.isin(split, splits)
        )
    if not seen & set(splits):
        raise AuraError(
            f"no utterance in the splits {list(splits)}: the corpus has {sorted(seen)}; "
            "set teacher_cache.splits"
        )


def read_utterances(
    ingest_uri: str, shard: ShardPlan, splits: Sequence[str]
) -> list[dict[str, Any]]:
    """Read a shard's rows, audio included; of each file only the row groups that hold them.

    Raises:
        AuraError: if they are not those that were planned.
    """
    rows = [row for piece in shard.slices for row in _read_slice(ingest_uri, piece)]
    wanted = [row for row in rows if row["split"] in splits]
    if len(wanted) != shard.utterances:
        raise AuraError(
            f"{ingest_uri}: {shard.slices[0].part} was changed after planning; delete the teacher "
            "cache and run again"
        )
    return wanted


def _read_slice(ingest_uri: str, piece: Slice) -> list[dict[str, Any]]:
    fs, path = store.filesystem(store.join(ingest_uri, _FOLDER, piece.part))
    with fs.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        first, groups = _row_groups(parquet, piece)
        table: pa.Table = parquet.read_row_groups(groups, columns=_COLUMNS)
    rows: list[dict[str, Any]] = table.slice(
        piece.start - first, piece.stop - piece.start
    ).to_pylist()
    return rows


def _row_groups(parquet: pq.ParquetFile, piece: Slice) -> tuple[int, list[int]]:
    """The groups that hold a slice, and the number of their first row."""
    starts = [0]
    for group in range(parquet.num_row_groups):
        starts.append(starts[-1] + parquet.metadata.row_group(group).num_rows)
    groups = [
        group
        for group in range(parquet.num_row_groups)
        if starts[group] < piece.stop and starts[group + 1] > piece.start
    ]
    return (starts[groups[0]] if groups else 0), groups
