"""What a finished cache holds: `shards.json`, a line a tar, and `index.parquet`, a row a clip.

A reader opens these two files however many shards there are.
"""

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from aura_core.artifacts import store
from aura_core.cache.record import ShardRecord, Tar

INDEX = "index.parquet"
SHARDS = "shards.json"
STEM = "teacher_stem.safetensors"
_ROW_GROUP_CLIPS = 1 << 16

INDEX_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("xxh3", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("instruction", pa.string()),
        pa.field("response", pa.string()),
        pa.field("speaker", pa.string()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("family", pa.string()),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("num_mel_frames", pa.int32(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
    ]
)


class Catalogue(BaseModel):
    """The tars of a cache, in the order of the plan, and what is alike in all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 2
    layers: tuple[int, ...]
    width: int
    n_mels: int
    tars: tuple[Tar, ...]


def write_index(uri: str, records: Iterable[ShardRecord]) -> None:
    """Publish the rows of all shards, holding a few shards in memory at a time."""
    with (
        store.staged(store.join(uri, INDEX)) as path,
        pq.ParquetWriter(path, INDEX_SCHEMA, compression="zstd") as writer,
    ):
        waiting: list[pa.RecordBatch] = []
        for shard, record in enumerate(records):
            waiting.append(_batch(shard, record))
            if sum(map(len, waiting)) >= _ROW_GROUP_CLIPS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))


def _batch(shard: int, record: ShardRecord) -> pa.RecordBatch:
    rows = list(_rows(shard, record))
    return pa.RecordBatch.from_pylist(rows, schema=INDEX_SCHEMA)


def _rows(shard: int, record: ShardRecord) -> Iterator[Mapping[str, object]]:
    for member in record.members:
        place = {"offset": member.offset, "size_bytes": member.size_bytes, "xxh3": member.xxh3}
        yield {"shard": shard, **place, **dict(member.entry)}
