"""What a cache holds: a record of each shard, and the catalogue of all.

`shards/NNNNNN.json` is published after its tar and its part of the index; `shards.json` and
`index.parquet` when all shards are there.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, require_manifest
from aura_core.errors import AuraError
from aura_core.ingest.utterances import DESCRIPTION_SCHEMA

SHARD_DIGITS = 6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Frozen):
    """An utterance of the cache, without its tensors."""

    key: str
    id: str
    text: str
    instruction: str | None
    response: str | None
    speaker: str | None
    split: str
    family: str | None
    duration_s: float
    num_mel_frames: int
    num_frames: int


class LayerError(_Frozen):
    """How far the stored states of a layer are from the exact ones, both standardised."""

    positions: int
    mean_cosine: float
    max_abs_error: float

    def merged(self, other: "LayerError | None") -> "LayerError":
        """Return the error over both sets of positions."""
        if other is None:
            return self
        positions = self.positions + other.positions
        total = self.positions * self.mean_cosine + other.positions * other.mean_cosine
        return LayerError(
            positions=positions,
            mean_cosine=total / positions,
            max_abs_error=max(self.max_abs_error, other.max_abs_error),
        )


class ShardRecord(_Frozen):
    """Its existence marks the shard as finished."""

    format: int = 2
    name: str
    codec: str
    tar: FileEntry
    members: FileEntry
    layers: tuple[int, ...]
    width: int
    n_mels: int
    utterances: int
    num_frames: int
    duration_s: float
    errors: dict[int, LayerError]


def shard_of(tar: FileEntry) -> str:
    """Name of the shard a tar holds."""
    return tar.path.removeprefix("shards/")[:SHARD_DIGITS]


def record_path(name: str) -> str:
    """Path of a shard's record, relative to the artifact."""
    return f"shards/{name}.json"


def members_path(name: str) -> str:
    """Path of a shard's part of the index, relative to the artifact."""
    return f"shards/{name}.parquet"


def layer_name(layer: int) -> str:
    """Name of a layer's tensor in a sample."""
    return f"layer_{layer:02d}"


def write_record(uri: str, record: ShardRecord) -> None:
    """Publish a record: a line of JSON and a line with the XXH3 of the first."""
    text = record.model_dump_json()
    store.write_text(
        store.join(uri, record_path(record.name)), f"{text}\n{store.xxh3(text.encode())}\n"
    )


def read_record(uri: str, name: str) -> ShardRecord | None:
    """Return a shard's record, or None if it is not there or damaged."""
    try:
        data = store.read_bytes(store.join(uri, record_path(name)))
    except FileNotFoundError:
        return None
    text, _, digest = data.partition(b"\n")
    if digest != f"{store.xxh3(text)}\n".encode():
        return None
    try:
        return ShardRecord.model_validate_json(text)
    except ValidationError:  # of another version of aura
        return None


# What a finished cache holds: `shards.json`, a line a tar, and `index.parquet`, a row a clip.
#
# A reader opens these two files however many shards there are.

INDEX = "index.parquet"
SHARDS = "shards.json"
STEM = "teacher_stem.safetensors"
_ROW_GROUP_CLIPS = 1 << 16

MEMBER_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("xxh3", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        *DESCRIPTION_SCHEMA,
        pa.field("num_mel_frames", pa.int32(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
    ]
)
INDEX_SCHEMA = MEMBER_SCHEMA.insert(0, pa.field("shard", pa.int32(), nullable=False))


class Catalogue(BaseModel):
    """The tars of a cache, in the order of the plan, and what is alike in all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 2
    layers: tuple[int, ...]
    width: int
    n_mels: int
    tars: tuple[FileEntry, ...]


def cache_files(uri: str) -> dict[str, FileEntry]:
    """What a finished cache's manifest vouches for, by path.

    Raises:
        AuraError: if there is no finished cache at `uri`.
    """
    files = {entry.path: entry for entry in require_manifest(uri).files}
    if SHARDS not in files:
        raise AuraError(f"{uri} is not a teacher cache: its manifest lists no {SHARDS}")
    return files


def write_members(uri: str, name: str, rows: Sequence[Mapping[str, Any]]) -> FileEntry:
    """Publish a shard's part of the index: rows of `MEMBER_SCHEMA`, in the order of its tar."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), MEMBER_SCHEMA), buffer, compression="zstd")
    data, path = buffer.getvalue(), members_path(name)
    store.write_bytes(store.join(uri, path), data)
    return FileEntry(path=path, size_bytes=len(data), xxh3=store.xxh3(data))


def read_members(uri: str, record: ShardRecord) -> pa.Table:
    """Read a shard's part of the index.

    Raises:
        AuraError: if it is missing or damaged.
    """
    try:
        data = store.read_bytes(store.join(uri, record.members.path))
    except FileNotFoundError:
        data = b""
    if store.xxh3(data) != record.members.xxh3:
        raise AuraError(
            f"{uri}: {record.members.path} is missing or damaged: delete it and {record.name}.json "
            "beside it, and run the teacher_cache stage again"
        )
    return pq.read_table(pa.BufferReader(data))


def write_index(uri: str, records: Iterable[ShardRecord]) -> None:
    """Publish the rows of all shards, holding a few shards in memory at a time."""
    with (
        store.staged(store.join(uri, INDEX)) as path,
        pq.ParquetWriter(path, INDEX_SCHEMA, compression="zstd") as writer,
    ):
        waiting: list[pa.Table] = []
        for shard, record in enumerate(records):
            members = read_members(uri, record)
            numbers = pa.array(np.full(len(members), shard, dtype=np.int32))
            waiting.append(members.add_column(0, INDEX_SCHEMA.field("shard"), numbers))
            if sum(map(len, waiting)) >= _ROW_GROUP_CLIPS:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
