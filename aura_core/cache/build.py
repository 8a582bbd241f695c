"""The steps that make a teacher cache: plan, shards in any order, summary."""

from collections.abc import Sequence
from typing import Any

from safetensors.torch import save
from torch import Tensor
from whisper.model import Whisper

from aura_core.artifacts import store
from aura_core.cache import moments
from aura_core.cache import plan as planning
from aura_core.cache.encode import encode
from aura_core.cache.moments import Moments
from aura_core.cache.plan import Plan, ShardPlan, make_plan
from aura_core.cache.record import (
    LAYER_STATS,
    STEM,
    Digest,
    ShardRecord,
    moments_path,
    read_record,
    record_path,
    tar_path,
)
from aura_core.cache.shard import file_digest, write_shard
from aura_core.cache.utterances import list_candidates, read_utterances
from aura_core.config import TeacherCacheConfig

STEM_TENSORS = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "positional_embedding")


def plan_cache(ingest_uri: str, uri: str, config: TeacherCacheConfig) -> Plan:
    """Plan the cache of an ingest artifact and publish the plan."""
    plan = make_plan(list_candidates(ingest_uri, config.splits), config.shard_utterances)
    store.write_text(store.join(uri, planning.NAME), plan.model_dump_json() + "\n")
    return plan


def build_shard(
    teacher: Whisper, ingest_uri: str, uri: str, shard: ShardPlan, config: TeacherCacheConfig
) -> ShardRecord:
    """Make one shard, or return the record of the finished one."""
    record = finished_record(uri, shard)
    if record is None:
        rows = read_utterances(ingest_uri, shard.parts, shard.ids)
        record = write_shard(uri, shard.name, encode(teacher, rows, config))
    return record


def finished_record(uri: str, shard: ShardPlan) -> ShardRecord | None:
    """Return the shard's record if it is the planned one and its files match it byte for byte."""
    record = read_record(uri, shard.name)
    if record is None or tuple(member.entry.id for member in record.members) != shard.ids:
        return None
    files = ((tar_path(shard.name), record.tar), (moments_path(shard.name), record.moments))
    return record if all(_matches(uri, path, digest) for path, digest in files) else None


def publish_stem(teacher: Whisper, uri: str) -> None:
    """Publish the encoder's convolutions and positions, so that training needs no teacher."""
    encoder = teacher.encoder.state_dict()
    store.write_bytes(
        store.join(uri, STEM),
        save({name: encoder[name].cpu().contiguous() for name in STEM_TENSORS}),
    )


def publish_layer_stats(uri: str, plan: Plan) -> None:
    """Merge the shards' moments, in the plan's order, into mean and std per layer and channel."""
    totals: dict[int, Moments] = {}
    for shard in plan.shards:
        data = store.read_bytes(store.join(uri, moments_path(shard.name)))
        for layer, value in moments.from_bytes(data).items():
            totals[layer] = moments.merge(totals.get(layer), value)
    tensors: dict[str, Tensor] = {}
    for layer, value in totals.items():
        tensors[f"mean_{layer:02d}"] = value.mean.float()
        tensors[f"std_{layer:02d}"] = value.std.float()
    store.write_bytes(store.join(uri, LAYER_STATS), save(tensors))


def summarise(
    records: Sequence[ShardRecord],
) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Return the artifact's files, its counts and its metrics."""
    files = [planning.NAME, LAYER_STATS, STEM]
    for record in records:
        files += [path(record.name) for path in (tar_path, moments_path, record_path)]
    frames = sum(record.num_frames for record in records)
    counts = {
        "shards": len(records),
        "utterances": sum(len(record.members) for record in records),
        "frames": frames,
        "size_bytes": sum(record.tar.size_bytes for record in records),
    }
    first = records[0]
    errors = {
        str(layer): {
            "mean_cosine": sum(r.errors[layer].mean_cosine * r.num_frames for r in records)
            / frames,
            "max_abs_error": max(r.errors[layer].max_abs_error for r in records),
        }
        for layer in first.layers
    }
    metrics = {
        "duration_s": sum(record.duration_s for record in records),
        "layers": list(first.layers),
        "width": first.width,
        "n_mels": first.n_mels,
        "storage_error": errors,
    }
    return files, counts, metrics


def _matches(uri: str, path: str, digest: Digest) -> bool:
    try:
        with store.local_file(store.join(uri, path)) as local:
            return local.stat().st_size == digest.size_bytes and file_digest(local) == digest
    except FileNotFoundError:
        return False
