"""What a finished cache holds: `shards.json`, a line a tar, and `index.parquet`, a row a clip.

A reader opens these two files however many shards there are.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, require_manifest
from aura_core.cache.record import ShardRecord, members_path
from aura_core.corpus.table import DESCRIPTION_SCHEMA
from aura_core.errors import AuraError

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
