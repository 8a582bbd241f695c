"""Planning, resuming, listing and opening a very large cache: metadata only, a stand-in encoder.

The utterance table has no audio, and the tars are holes of the right size: nothing here says
anything about computing, writing or reading teacher states.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, publish_manifest
from aura_core.config.run import TeacherCacheConfig
from aura_core.ingest.ingest_plan import PART_ITEMS
from aura_core.teacher_cache import build, inventory
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.codec import Codec, LayerCodec
from aura_core.teacher_cache.index import open_cache
from aura_core.teacher_cache.plan import ShardPlan
from aura_core.teacher_cache.record import (
    STEM,
    LayerError,
    ShardRecord,
    write_members,
    write_record,
)

Result = TypeVar("Result")

_SAMPLE_BYTES = 60_000
_LAYER = 4
_WIDTH = 384


def bench_scale(utterances: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Time the bookkeeping of a cache of so many utterances, and of a tenth of them.

    Returns:
        For each of the two sizes seconds of `plan` (from the table), `resume` (plan and every
        record read, every tar's size looked at), `catalogue`, `open`, `list` and `garbage`,
        `peak_memory_mb` of the process up to there, and the number of shards.
    """
    config = TeacherCacheConfig()
    result: dict[str, Any] = {"encoder": "stand-in: no audio, tars are holes of the right size"}
    # The smaller first: a process's peak memory only grows.
    for size in (utterances // 10, utterances):
        with tempfile.TemporaryDirectory(prefix="aura-bench-") as folder:
            result[str(size)] = _measure(Path(folder), size, config, tell)
    return result


def _measure(
    folder: Path, utterances: int, config: TeacherCacheConfig, tell: Callable[[str], None]
) -> dict[str, Any]:
    ingest_uri, uri = str(folder / "ingest"), str(folder / inventory.STAGE / "0")
    seconds: dict[str, Any] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        seconds[name] = round(time.perf_counter() - started, 2)
        tell(f"{utterances:,} utterances: {name} {seconds[name]} s")
        return result

    _write_table(folder / "ingest" / "utterances", utterances)
    plan = timed("plan", lambda: build.plan_cache(ingest_uri, uri, config))
    digest = _write_teacher_parts(uri)
    for shard in plan.shards:
        _write_stand_in(uri, shard, digest)

    def resume() -> bool:
        again = build.plan_cache(ingest_uri, uri, config)
        return all(build.finished_record(uri, shard, digest) for shard in again.shards)

    assert timed("resume", resume)
    outcome = timed("catalogue", lambda: build.publish_catalogue(uri, plan))
    publish_manifest(
        uri, outcome, stage=inventory.STAGE, stage_version=0, fingerprint="",
        identity=config.identity(), inputs={}, provenance={},
    )  # fmt: skip
    assert len(timed("open", lambda: open_cache(uri))) == utterances
    assert len(timed("list", lambda: inventory.list_caches(str(folder)))) == 1
    assert list(timed("garbage", lambda: list(inventory.list_garbage(str(folder))))) == []
    return {**seconds, "peak_memory_mb": _peak_memory_mb(), "shards": len(plan.shards)}


def _write_table(folder: Path, utterances: int) -> None:
    """The columns a plan reads, in parts as ingest makes them."""
    folder.mkdir(parents=True)
    for number, start in enumerate(range(0, utterances, PART_ITEMS)):
        rows = min(PART_ITEMS, utterances - start)
        durations_s = 1.0 + np.arange(start, start + rows) % 29
        table = pa.table({"duration_s": durations_s, "split": ["train"] * rows})
        pq.write_table(table, folder / f"part-{number:05d}.parquet")


def _write_teacher_parts(uri: str) -> str:
    layer = LayerCodec(mean=torch.zeros(_WIDTH), std=torch.ones(_WIDTH))
    codec = Codec({_LAYER: layer}, rate_hz=50.0, frames=1, dtype=torch.float16)
    data = codecs.to_bytes(codec)
    store.write_bytes(store.join(uri, codecs.NAME), data)
    store.write_bytes(store.join(uri, STEM), b"stand-in")
    return store.xxh3(data)


def _write_stand_in(uri: str, shard: ShardPlan, codec: str) -> None:
    first = int(shard.name) * shard.utterances
    rows = [_row(first + i, i) for i in range(shard.utterances)]
    size_bytes = shard.utterances * _SAMPLE_BYTES
    tar = FileEntry(path=f"shards/{shard.name}-stand-in.tar", size_bytes=size_bytes, xxh3="0" * 32)
    path = Path(uri) / tar.path
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size_bytes)
    record = ShardRecord(
        name=shard.name,
        codec=codec,
        tar=tar,
        members=write_members(uri, shard.name, rows),
        layers=(_LAYER,),
        width=_WIDTH,
        n_mels=80,
        utterances=shard.utterances,
        num_frames=100 * shard.utterances,
        duration_s=shard.duration_s,
        errors={_LAYER: LayerError(positions=1, mean_cosine=1.0, max_abs_error=0.0)},
    )
    write_record(uri, record)


def _row(number: int, place: int) -> dict[str, Any]:
    return {
        "offset": place * _SAMPLE_BYTES, "size_bytes": _SAMPLE_BYTES, "xxh3": f"{number:032x}",
        "key": f"utterance-{number}", "id": f"utterance-{number}",
        "text": f"turn on lamp number {number} in the kitchen", "instruction": None,
        "response": None, "speaker": "none", "split": "train", "family": None, "duration_s": 2.0,
        "num_mel_frames": 200, "num_frames": 100,
    }  # fmt: skip


def _peak_memory_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))
