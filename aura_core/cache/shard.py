"""Write one shard: a tar whose bytes depend on its samples alone, then its record."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry
from aura_core.cache.catalogue import write_members
from aura_core.cache.encode import EncodedSample, StorageError
from aura_core.cache.record import (
    Entry,
    LayerError,
    ShardRecord,
    write_record,
)
from aura_core.errors import AuraError

# Enough of the digest that two tars of one shard cannot meet.
_NAME_DIGITS = 12


def write_shard(
    uri: str, name: str, samples: Iterable[EncodedSample], *, codec: str, width: int
) -> ShardRecord:
    """Publish a shard's tar, its part of the index and, last, its record.

    Samples are streamed: memory holds one batch at a time. The tar is read back
    and compared with what was meant before it is published.

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
        _write_tar(path, samples, summary)
        tar = _describe(path, name)
        rows = _verify_tar(path, summary)
        store.publish(path, store.join(uri, tar.path))
    record = ShardRecord(
        name=name,
        codec=codec,
        tar=tar,
        members=write_members(uri, name, rows),
        layers=tuple(summary.errors),
        width=width,
        n_mels=summary.n_mels,
        utterances=len(rows),
        num_frames=sum(entry.num_frames for entry in summary.entries),
        duration_s=sum(entry.duration_s for entry in summary.entries),
        errors={layer: _total(errors) for layer, errors in summary.errors.items()},
    )
    write_record(uri, record)
    return record


def _describe(path: Path, name: str) -> FileEntry:
    # Named by its content: two runs that differ in a last bit never overwrite each other.
    digest = store.file_xxh3(path)
    location = f"shards/{name}-{digest[:_NAME_DIGITS]}.tar"
    return FileEntry(path=location, size_bytes=path.stat().st_size, xxh3=digest)


@dataclass
class _Summary:
    """What is known of the samples once their tensors are gone."""

    entries: list[Entry] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    errors: dict[int, list[StorageError]] = field(default_factory=dict)
    n_mels: int = 0

    def add(self, sample: EncodedSample, digest: str) -> None:
        self.entries.append(sample.entry)
        self.digests.append(digest)
        self.n_mels = sample.tensors["log_mel"].shape[1]
        for layer, error in sample.errors.items():
            self.errors.setdefault(layer, []).append(error)


def _total(errors: list[StorageError]) -> LayerError:
    positions = sum(e.positions for e in errors)
    return LayerError(
        positions=positions,
        mean_cosine=sum(e.cosine_sum for e in errors) / positions,
        max_abs_error=max(e.max_abs for e in errors),
    )


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


def _verify_tar(path: Path, summary: _Summary) -> list[dict[str, Any]]:
    rows = list(_read_rows(path))
    expected = list(zip(summary.entries, summary.digests, strict=True))
    if [(row.pop("entry"), row["xxh3"]) for row in rows] != expected:
        raise AuraError(f"{path.name} does not read back as written: check the disk and run again")
    return [{**row, **dict(entry)} for row, entry in zip(rows, summary.entries, strict=True)]


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read a tar's samples back, in order, with the digests of what is really there."""
    entry: Entry | None = None
    with tarfile.open(path, mode="r:") as tar:
        for info in tar:
            file = tar.extractfile(info)
            data = file.read() if file else b""
            if info.name.endswith(".json"):
                entry = Entry.model_validate_json(data)
            elif entry is not None and info.name == f"{entry.key}.safetensors":
                place = {"offset": info.offset_data, "size_bytes": info.size}
                yield {"entry": entry, **place, "xxh3": store.xxh3(data)}
