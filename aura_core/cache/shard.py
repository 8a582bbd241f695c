"""Write one shard: a tar whose bytes depend on its samples alone, then its record."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import xxhash
from safetensors.torch import save

from aura_core.artifacts import store
from aura_core.cache import moments
from aura_core.cache.encode import EncodedSample, frame_cosine
from aura_core.cache.moments import Moments
from aura_core.cache.record import (
    Digest,
    Entry,
    LayerError,
    Member,
    ShardRecord,
    moments_path,
    record_path,
    tar_path,
)
from aura_core.errors import AuraError

_CHUNK_BYTES = 1 << 20


def write_shard(uri: str, name: str, samples: Iterable[EncodedSample]) -> ShardRecord:
    """Publish a shard's tar, its moments and, last, its record.

    Samples are streamed: memory holds one batch at a time. The tar is read back
    and compared with what was meant before it is published.

    Raises:
        AuraError: if what was written does not read back the same.
    """
    summary = _Summary()
    with store.staged(store.join(uri, tar_path(name))) as path:
        _write_tar(path, samples, summary)
        tar = file_digest(path)
        members = _verify_tar(path, summary)
    moments_bytes = moments.to_bytes(summary.moments)
    store.write_bytes(store.join(uri, moments_path(name)), moments_bytes)
    record = ShardRecord(
        name=name,
        tar=tar,
        moments=Digest(size_bytes=len(moments_bytes), xxh3=store.xxh3(moments_bytes)),
        layers=tuple(summary.moments),
        width=summary.width,
        n_mels=summary.n_mels,
        num_frames=sum(entry.num_frames for entry in summary.entries),
        duration_s=sum(entry.duration_s for entry in summary.entries),
        errors=summary.errors(),
        members=members,
    )
    store.write_text(store.join(uri, record_path(name)), record.model_dump_json() + "\n")
    return record


def file_digest(path: Path) -> Digest:
    """Size and XXH3 of a local file."""
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return Digest(size_bytes=path.stat().st_size, xxh3=hasher.hexdigest())


@dataclass
class _Summary:
    """What is known of the samples once their tensors are gone."""

    entries: list[Entry] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    moments: dict[int, Moments] = field(default_factory=dict)
    width: int = 0
    n_mels: int = 0
    _cosine_sums: dict[int, float] = field(default_factory=dict)
    _max_errors: dict[int, float] = field(default_factory=dict)

    def add(self, sample: EncodedSample, digest: str) -> None:
        self.entries.append(sample.entry)
        self.digests.append(digest)
        self.n_mels = sample.tensors["log_mel"].shape[1]
        for layer, exact in sample.exact.items():
            stored = sample.stored(layer)
            self.width = stored.shape[1]
            self.moments[layer] = moments.merge(self.moments.get(layer), moments.moments_of(stored))
            cosine = float(frame_cosine(stored, exact).sum())
            error = float((stored.float() - exact).abs().max())
            self._cosine_sums[layer] = self._cosine_sums.get(layer, 0.0) + cosine
            self._max_errors[layer] = max(self._max_errors.get(layer, 0.0), error)

    def errors(self) -> dict[int, LayerError]:
        return {
            layer: LayerError(
                mean_cosine=total / self.moments[layer].count,
                max_abs_error=self._max_errors[layer],
            )
            for layer, total in self._cosine_sums.items()
        }


def _write_tar(path: Path, samples: Iterable[EncodedSample], summary: _Summary) -> None:
    with path.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                data = save(sample.tensors)
                text = sample.entry.model_dump_json() + "\n"
                _add(tar, f"{sample.entry.key}.json", text.encode())
                _add(tar, f"{sample.entry.key}.safetensors", data)
                summary.add(sample, store.xxh3(data))
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    # A fresh TarInfo has mtime, uid and gid 0, no owner and mode 0644.
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _verify_tar(path: Path, summary: _Summary) -> tuple[Member, ...]:
    members = tuple(_read_members(path))
    expected = list(zip(summary.entries, summary.digests, strict=True))
    if [(member.entry, member.xxh3) for member in members] != expected:
        raise AuraError(f"{path.name} does not read back as written: check the disk and run again")
    return members


def _read_members(path: Path) -> Iterator[Member]:
    entry: Entry | None = None
    with tarfile.open(path, mode="r:") as tar:
        for info in tar:
            file = tar.extractfile(info)
            data = file.read() if file else b""
            if info.name.endswith(".json"):
                entry = Entry.model_validate_json(data)
            elif entry is not None and info.name == f"{entry.key}.safetensors":
                yield Member(
                    entry=entry,
                    offset=info.offset_data,
                    size_bytes=info.size,
                    xxh3=store.xxh3(data),
                )
