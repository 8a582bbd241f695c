"""The steps that make a teacher cache: plan, codec, shards in any order, catalogue."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, Outcome
from aura_core.cache import codec as codecs
from aura_core.cache import plan as planning
from aura_core.cache.catalogue import INDEX, SHARDS, STEM, Catalogue, write_index
from aura_core.cache.codec import Codec, fit_codec
from aura_core.cache.encode import batches, encode, num_frames, teacher_states
from aura_core.cache.plan import Plan, ShardPlan, make_plan
from aura_core.cache.record import LayerError, ShardRecord, read_record
from aura_core.cache.shard import write_shard
from aura_core.cache.utterances import list_parts, read_utterances
from aura_core.config import TeacherCacheConfig
from aura_core.models.teacher import Teacher
from aura_core.precision import compute_dtype
from aura_core.read_ahead import read_ahead

# The codec's sample: so many shards, spread over the plan, and so much speech from them.
_SAMPLE_SHARDS = 16
_SAMPLE_FRAMES = 20_000
_RECORD_THREADS = 16


def plan_cache(ingest_uri: str, uri: str, config: TeacherCacheConfig) -> Plan:
    """Return the plan of the cache at `uri`; make and publish it the first time."""
    location = store.join(uri, planning.NAME)
    with suppress(FileNotFoundError, ValidationError):
        return Plan.model_validate_json(store.read_bytes(location))
    parts = list_parts(ingest_uri, config.splits)
    plan = make_plan(parts, config.shard_utterances)
    store.write_text(location, plan.model_dump_json() + "\n")
    return plan


def publish_teacher_parts(
    teacher: Teacher, ingest_uri: str, uri: str, plan: Plan, config: TeacherCacheConfig
) -> None:
    """Publish the codec, fitted on a sample, and the weights that a student's stem may start from.

    With these two training needs no teacher. `teacher` is in float32. A codec that is there
    is kept: finished shards depend on it.
    """
    store.write_bytes(store.join(uri, STEM), save(teacher.stem_tensors()))
    if not store.exists(store.join(uri, codecs.NAME)):
        codec = fit_sample(as_configured(teacher, config), ingest_uri, plan, config)
        store.write_bytes(store.join(uri, codecs.NAME), codecs.to_bytes(codec))


def fit_sample(teacher: Teacher, ingest_uri: str, plan: Plan, config: TeacherCacheConfig) -> Codec:
    """Fit the codec on clips from all over the plan."""
    step = max(1, len(plan.shards) // _SAMPLE_SHARDS)
    chosen = plan.shards[::step][:_SAMPLE_SHARDS]
    sample = []
    for shard in chosen:
        rows = read_utterances(ingest_uri, shard, config.splits)
        # Short and long ones: rows are not yet in the order of their lengths.
        for clips in batches(teacher, _until(rows, _SAMPLE_FRAMES // len(chosen)), config):
            states = dict(teacher_states(teacher, clips, config))
            sample.append((states, num_frames(clips).to(teacher.device)))
    return fit_codec(sample, config)


def _until(rows: list[dict[str, Any]], frames: int) -> list[dict[str, Any]]:
    """The first rows that have about so many 50 Hz frames; one at least."""
    kept, total = [], 0.0
    for row in rows:
        kept.append(row)
        total += 50 * row["duration_s"]
        if total >= frames:
            break
    return kept


@dataclass(frozen=True)
class Builder:
    """Makes the shards of one cache."""

    teacher: Teacher
    ingest_uri: str
    uri: str
    config: TeacherCacheConfig
    codec: Codec
    codec_digest: str

    def build(self, shard: ShardPlan) -> ShardRecord:
        """Make one shard, or return the record of the finished one."""
        record = finished_record(self.uri, shard, self.codec_digest)
        if record is not None:
            return record
        rows = read_utterances(self.ingest_uri, shard, self.config.splits)
        return write_shard(
            self.uri,
            shard.name,
            encode(self.teacher, self.codec, rows, self.config),
            codec=self.codec_digest,
            width=self.teacher.width,
        )


def open_builder(
    teacher: Teacher, ingest_uri: str, uri: str, config: TeacherCacheConfig
) -> Builder:
    """Return what makes the shards: the published codec, and the teacher in its precision."""
    data = store.read_bytes(store.join(uri, codecs.NAME))
    codec = codecs.from_bytes(data).to(teacher.device)
    teacher = as_configured(teacher, config)
    return Builder(teacher, ingest_uri, uri, config, codec, store.xxh3(data))


def as_configured(teacher: Teacher, config: TeacherCacheConfig) -> Teacher:
    """Return the float32 teacher in the precision the cache is made in."""
    return teacher.in_precision(compute_dtype(config.precision, teacher.device))


def make_cache(teacher: Teacher, ingest_uri: str, uri: str, config: TeacherCacheConfig) -> Outcome:
    """Make a whole cache in this process, without Ray; return as the last step does."""
    plan = plan_cache(ingest_uri, uri, config)
    publish_teacher_parts(teacher, ingest_uri, uri, plan, config)
    builder = open_builder(teacher, ingest_uri, uri, config)
    for shard in plan.shards:
        builder.build(shard)
    return publish_catalogue(uri, plan)


def finished_record(uri: str, shard: ShardPlan, codec_digest: str) -> ShardRecord | None:
    """Return the shard's record if it is the planned one and its files are there in full size.

    Their bytes are not read again: that would make a resumed run read the whole cache. They
    are checked when a sample is first read, and by `aura cache verify`.
    """
    record = read_record(uri, shard.name)
    if record is None or record.codec != codec_digest or record.utterances != shard.utterances:
        return None
    whole = all(_is_whole(uri, file) for file in (record.tar, record.members))
    return record if whole else None


def _is_whole(uri: str, file: FileEntry) -> bool:
    try:
        return store.size_bytes(store.join(uri, file.path)) == file.size_bytes
    except FileNotFoundError:
        return False


@dataclass
class _Totals:
    """Sums over the shards' records, one record in memory at a time."""

    tars: list[FileEntry] = field(default_factory=list)
    utterances: int = 0
    frames: int = 0
    duration_s: float = 0.0
    errors: dict[int, LayerError] = field(default_factory=dict)
    last: ShardRecord | None = None

    def watch(self, records: Iterator[ShardRecord]) -> Iterator[ShardRecord]:
        for record in records:
            self.last = record
            self.tars.append(record.tar)
            self.utterances += record.utterances
            self.frames += record.num_frames
            self.duration_s += record.duration_s
            for layer, error in record.errors.items():
                self.errors[layer] = error.merged(self.errors.get(layer))
            yield record


def publish_catalogue(uri: str, plan: Plan) -> Outcome:
    """Publish the catalogue of finished shards; return files, counts and metrics."""
    totals = _Totals()
    records = read_ahead(
        plan.shards,
        lambda shard: _required_record(uri, shard.name),
        threads=_RECORD_THREADS,
        depth=2 * _RECORD_THREADS,
    )
    write_index(uri, totals.watch(records))
    assert totals.last is not None
    alike = {name: getattr(totals.last, name) for name in ("layers", "width", "n_mels")}
    catalogue = Catalogue(**alike, tars=tuple(totals.tars))
    store.write_text(store.join(uri, SHARDS), catalogue.model_dump_json() + "\n")
    counts = {
        "shards": len(totals.tars),
        "utterances": totals.utterances,
        "frames": totals.frames,
        "size_bytes": sum(tar.size_bytes for tar in totals.tars),
    }
    metrics = {
        "duration_s": totals.duration_s,
        **alike,
        "storage_error": {str(layer): dict(error) for layer, error in totals.errors.items()},
    }
    return [planning.NAME, codecs.NAME, STEM, INDEX, SHARDS], counts, metrics


def _required_record(uri: str, name: str) -> ShardRecord:
    record = read_record(uri, name)
    if record is None:
        raise FileNotFoundError(f"{uri}: the record of shard {name} is gone")
    return record
