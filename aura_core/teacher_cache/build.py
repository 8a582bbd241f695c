"""The steps that make a teacher cache: plan, codec, shards in any order, catalogue."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
import xxhash
from pydantic import ValidationError
from safetensors import numpy as numpy_safetensors
from safetensors import torch as torch_safetensors
from safetensors.torch import save
from torch import Tensor

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, Outcome
from aura_core.artifacts.store import read_ahead
from aura_core.config.run import TeacherCacheConfig
from aura_core.device import compute_dtype
from aura_core.errors import AuraError
from aura_core.models.teachers import Teacher
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache import plan as planning
from aura_core.teacher_cache.codec import Codec, fit_codec
from aura_core.teacher_cache.encode import (
    EncodedSample,
    StorageError,
    batches,
    encode,
    num_frames,
    teacher_states,
)
from aura_core.teacher_cache.plan import Plan, ShardPlan, list_parts, make_plan, read_utterances
from aura_core.teacher_cache.record import (
    INDEX,
    SHARDS,
    STEM,
    Catalogue,
    LayerError,
    ShardRecord,
    read_record,
    write_index,
    write_members,
    write_record,
)

# Write one shard: a tar whose bytes depend on its samples alone, then its record.

# Enough of the digest that two tars of one shard cannot meet.
_NAME_DIGITS = 12


def write_shard(
    uri: str, name: str, samples: Iterable[EncodedSample], *, codec: str, width: int
) -> ShardRecord:
    """Publish a shard's tar, its part of the index and, last, its record.

    Samples are streamed: memory holds one batch at a time. The tar is read back
    and compared with what was meant, byte for byte, before it is published.

    Args:
        uri: the artifact.
        name: of the shard.
        samples: in the order they get in the tar.
        codec: digest of the codec that stored their states.
        width: of the teacher's states.

    Raises:
        AuraError: if what was written does not read back the same.
    """
    summary = _Summary()
    with store.scratch(store.join(uri, "shards")) as folder:
        path = folder / f"{name}.tar"
        tar = _verified(path, name, _write_tar(path, samples, summary))
        store.publish(path, store.join(uri, tar.path))
    record = ShardRecord(
        name=name,
        codec=codec,
        tar=tar,
        members=write_members(uri, name, summary.members),
        layers=tuple(summary.errors),
        width=width,
        n_mels=summary.n_mels,
        utterances=len(summary.members),
        num_frames=sum(row["num_frames"] for row in summary.members),
        duration_s=sum(row["duration_s"] for row in summary.members),
        errors={layer: _total(errors) for layer, errors in summary.errors.items()},
    )
    write_record(uri, record)
    return record


def _verified(path: Path, name: str, meant: str) -> FileEntry:
    if store.file_xxh3(path) != meant:
        raise AuraError(f"{path.name} does not read back as written: check the disk and run again")
    # Named by its content: two runs that differ in a last bit never overwrite each other.
    location = f"shards/{name}-{meant[:_NAME_DIGITS]}.tar"
    return FileEntry(path=location, size_bytes=path.stat().st_size, xxh3=meant)


@dataclass
class _Summary:
    """What is known of the samples once their tensors are gone."""

    members: list[dict[str, Any]] = field(default_factory=list)  # rows of MEMBER_SCHEMA
    errors: dict[int, list[StorageError]] = field(default_factory=dict)
    n_mels: int = 0

    def add(self, sample: EncodedSample, place: dict[str, Any]) -> None:
        self.members.append({**place, **dict(sample.entry)})
        self.n_mels = sample.tensors["log_mel"].shape[1]
        for layer, error in sample.errors.items():
            self.errors.setdefault(layer, []).append(error)


class _Digesting:
    """A file that is written to, and the digest of what it should hold."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        self._hasher.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


def _total(errors: list[StorageError]) -> LayerError:
    positions = sum(e.positions for e in errors)
    return LayerError(
        positions=positions,
        mean_cosine=sum(e.cosine_sum for e in errors) / positions,
        max_abs_error=max(e.max_abs for e in errors),
    )


def _write_tar(path: Path, samples: Iterable[EncodedSample], summary: _Summary) -> str:
    """Write and sync the tar; return the digest of the bytes that were meant."""
    with path.open("wb") as file:
        meant = _Digesting(file)
        with tarfile.open(fileobj=meant, mode="w", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
            for sample in samples:
                text = sample.entry.model_dump_json() + "\n"
                _add(tar, f"{sample.entry.key}.json", text.encode())
                data = _serialise(sample.tensors)
                offset = _add(tar, f"{sample.entry.key}.safetensors", data)
                place = {"offset": offset, "size_bytes": len(data), "xxh3": store.xxh3(data)}
                summary.add(sample, place)
        file.flush()
        os.fsync(file.fileno())
    return meant.hexdigest()


def _serialise(tensors: Mapping[str, Tensor]) -> bytes:
    # Small tensors take several times as long by way of torch, but numpy has no bfloat16.
    if any(tensor.dtype == torch.bfloat16 for tensor in tensors.values()):
        return torch_safetensors.save(dict(tensors))
    return numpy_safetensors.save({name: tensor.numpy() for name, tensor in tensors.items()})


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a member; return where its data begin."""
    # A fresh TarInfo has mtime, uid and gid 0, no owner and mode 0644.
    info = tarfile.TarInfo(name)
    info.size = len(data)
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(info, io.BytesIO(data))
    return offset


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
