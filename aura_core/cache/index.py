"""Read a teacher cache by index: any order, any number of workers, nothing unverified."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import load
from torch import Tensor

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry, require_manifest
from aura_core.cache.record import (
    LAYER_STATS,
    STEM,
    Entry,
    Member,
    ShardRecord,
    layer_name,
    record_path,
    tar_path,
)
from aura_core.errors import AuraError

_OPEN_THREADS = 16
_REPAIR = "delete manifest.json there and run the teacher_cache stage again: sound shards are kept"


@dataclass(frozen=True)
class Sample:
    """One utterance with its tensors, in the dtype they are stored in."""

    key: str
    text: str
    instruction: str | None
    response: str | None
    log_mel: Tensor  # float16 [frames_100hz, n_mels]
    layers: dict[int, Tensor]  # layer -> float16 or float32 [frames_50hz, width]


class TeacherCache:
    """An opened cache; safe to share between threads, forked and spawned workers."""

    def __init__(
        self, uri: str, files: Mapping[str, FileEntry], records: list[ShardRecord]
    ) -> None:
        self.uri = uri
        self.entries: list[Entry] = [m.entry for record in records for m in record.members]
        self.layers: tuple[int, ...] = records[0].layers
        self.width: int = records[0].width
        self.n_mels: int = records[0].n_mels
        self._files = files
        self._members = [(record.name, m) for record in records for m in record.members]
        self._verified: set[int] = set()
        self._remote_shards: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> Sample:
        """Read one utterance; its bytes are checked the first time.

        Raises:
            AuraError: naming shard and key, if the bytes are not those that were written.
        """
        shard, member = self._members[index]
        data = self._read_bytes(shard, member)
        if index not in self._verified:
            if len(data) != member.size_bytes or store.xxh3(data) != member.xxh3:
                raise AuraError(
                    f"{self.uri}: shard {shard}, key {member.entry.key}: the data is damaged; "
                    f"{_REPAIR}"
                )
            self._verified.add(index)
        tensors = load(data)
        entry = member.entry
        return Sample(
            key=entry.key,
            text=entry.text,
            instruction=entry.instruction,
            response=entry.response,
            log_mel=tensors["log_mel"],
            layers={layer: tensors[layer_name(layer)] for layer in self.layers},
        )

    def layer_stats(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Return {layer: (mean, std)} over all valid frames, float32 [width] each."""
        tensors = load(self._read_file(LAYER_STATS))
        return {k: (tensors[f"mean_{k:02d}"], tensors[f"std_{k:02d}"]) for k in self.layers}

    def stem(self) -> dict[str, Tensor]:
        """Return the teacher encoder's convolutions and positions, float32, by their names."""
        return load(self._read_file(STEM))

    def _read_file(self, path: str) -> bytes:
        return _read_verified(self.uri, path, self._files)

    def _read_bytes(self, shard: str, member: Member) -> bytes:
        location = store.join(self.uri, tar_path(shard))
        if store.is_remote(location):
            if shard not in self._remote_shards:
                self._remote_shards[shard] = store.read_bytes(location)
            return self._remote_shards[shard][member.offset : member.offset + member.size_bytes]
        descriptor = os.open(location.removeprefix("file://"), os.O_RDONLY)
        try:
            return os.pread(descriptor, member.size_bytes, member.offset)
        finally:
            os.close(descriptor)


def open_cache(uri: str) -> TeacherCache:
    """Open a finished cache: records are verified, tars are checked by size.

    Raises:
        AuraError: if the cache is not finished, or a file is missing or damaged.
    """
    files = {entry.path: entry for entry in require_manifest(uri).files}
    names = sorted(Path(path).stem for path in files if path.endswith(".tar"))
    if not names:
        raise AuraError(f"{uri} is not a teacher cache: its manifest lists no shard")
    with ThreadPoolExecutor(_OPEN_THREADS) as pool:
        records = list(pool.map(lambda name: _open_shard(uri, name, files), names))
    return TeacherCache(uri, files, records)


def _open_shard(uri: str, name: str, files: Mapping[str, FileEntry]) -> ShardRecord:
    data = _read_verified(uri, record_path(name), files)
    try:
        record = ShardRecord.model_validate_json(data)
    except ValidationError as error:
        raise AuraError(f"{uri}: shard {name} was written by another version of aura") from error
    tar = tar_path(name)
    if (record.tar.size_bytes, record.tar.xxh3) != (files[tar].size_bytes, files[tar].xxh3):
        raise AuraError(f"{uri}: shard {name}: its record and the manifest disagree; {_REPAIR}")
    try:
        size_bytes = store.size_bytes(store.join(uri, tar))
    except FileNotFoundError:
        raise AuraError(f"{uri}: shard {name}: {tar} is missing; {_REPAIR}") from None
    if size_bytes != record.tar.size_bytes:
        raise AuraError(
            f"{uri}: shard {name}: {tar} has {size_bytes} bytes, expected "
            f"{record.tar.size_bytes}; {_REPAIR}"
        )
    return record


def _read_verified(uri: str, path: str, files: Mapping[str, FileEntry]) -> bytes:
    """Read a small file of the artifact and check it against the manifest."""
    try:
        data = store.read_bytes(store.join(uri, path))
        if store.xxh3(data) == files[path].xxh3:
            return data
    except (FileNotFoundError, KeyError):
        pass
    raise AuraError(f"{uri}: {path} is missing or damaged; {_REPAIR}")
