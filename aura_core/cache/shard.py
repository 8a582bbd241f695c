"""Write one shard: a tar whose bytes depend on its samples alone, then its record."""

import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
import xxhash
from safetensors import numpy as numpy_safetensors
from safetensors import torch as torch_safetensors
from torch import Tensor

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry
from aura_core.cache.catalogue import write_members
from aura_core.cache.encode import EncodedSample, StorageError
from aura_core.cache.record import LayerError, ShardRecord, write_record
from aura_core.errors import AuraError

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
