"""Which rows of the utterance table go into which shard, fixed before any work starts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.utterances import DESCRIPTION_SCHEMA, UTTERANCES
from aura_core.teacher_cache.record import SHARD_DIGITS

NAME = "plan.json"


class Part(BaseModel):
    """A file of the utterance table as the plan sees it; rows of other splits are not wanted."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    name: str
    duration_s: NDArray[np.float64]
    wanted: NDArray[np.bool_]


class Slice(BaseModel):
    """Rows `start` to `stop` of a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    part: str
    start: int
    stop: int


class ShardPlan(BaseModel):
    """One shard: the wanted rows of some slices of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    slices: tuple[Slice, ...]
    utterances: int
    duration_s: float


class Plan(BaseModel):
    """The whole cache. The same table gives the same plan, whatever runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 2
    shards: tuple[ShardPlan, ...]


def make_plan(parts: Iterable[Part], shard_utterances: int) -> Plan:
    """Cut the table into shards of at most `shard_utterances` successive clips.

    Successive, so that a shard's worker reads little that it does not need; clips are
    put into batches by length inside the shard.

    Raises:
        AuraError: if there is nothing to plan.
    """
    listed = list(parts)
    rows = [np.flatnonzero(part.wanted) for part in listed]
    total = sum(map(len, rows))
    if total == 0:
        raise AuraError("no utterance to encode: check teacher_cache.splits against the corpus")
    numbers = np.repeat(np.arange(len(listed)), [len(chosen) for chosen in rows])
    durations_s = np.concatenate(
        [part.duration_s[chosen] for part, chosen in zip(listed, rows, strict=True)]
    )
    every_row = np.concatenate(rows)
    # Even pieces: no worker is left with a shard of three clips at the end.
    pieces = np.array_split(np.arange(total), -(-total // shard_utterances))
    return Plan(
        shards=tuple(
            ShardPlan(
                name=f"{number:0{SHARD_DIGITS}d}",
                slices=tuple(_slices(listed, numbers[piece], every_row[piece])),
                utterances=len(piece),
                duration_s=float(durations_s[piece].sum()),
            )
            for number, piece in enumerate(pieces)
        )
    )


def _slices(
    parts: Sequence[Part], numbers: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Slice]:
    for number in np.unique(numbers):
        chosen = rows[numbers == number]
        yield Slice(part=parts[number].name, start=int(chosen[0]), stop=int(chosen[-1]) + 1)


# The parts of the utterance table a plan and a shard need, and no more.

_COLUMNS = [*DESCRIPTION_SCHEMA.names, "audio"]


def list_parts(ingest_uri: str, splits: Sequence[str]) -> Iterator[Part]:
    """Yield the files of the table, in order; no audio is read.

    Raises:
        AuraError: if there is no table or no utterance in these splits.
    """
    folder = store.join(ingest_uri, UTTERANCES)
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
    fs, path = store.filesystem(store.join(ingest_uri, UTTERANCES, piece.part))
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
