"""Read a teacher cache by index: any order, any number of workers, nothing unverified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors.torch import load
from torch import Tensor

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry
from aura_core.errors import AuraError
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.record import INDEX, SHARDS, STEM, Catalogue, cache_files

_REPAIR = "run `aura cache verify --repair` on it and then the teacher_cache stage again"


@dataclass(frozen=True)
class Sample:
    """One utterance with its tensors."""

    key: str
    text: str
    instruction: str | None
    response: str | None
    log_mel: Tensor  # float16 [frames_100hz, n_mels]
    layers: dict[int, Tensor]  # layer -> float32 [positions, width], standardised per channel


@dataclass(frozen=True)
class Fetched:
    """An utterance's row of the index and its safetensors bytes, not yet decoded."""

    row: Mapping[str, Any]
    data: bytes


class TeacherCache:
    """An opened cache; safe to share between threads, forked and spawned workers."""

    def __init__(
        self, uri: str, files: Mapping[str, FileEntry], catalogue: Catalogue, index: pa.Table
    ) -> None:
        self.uri = uri
        self.layers: tuple[int, ...] = catalogue.layers
        self.width: int = catalogue.width
        self.n_mels: int = catalogue.n_mels
        self.codec = codecs.from_bytes(_read_verified(uri, codecs.NAME, files))
        self._files = files
        self._tars = catalogue.tars
        self._index = index
        self._verified = np.zeros(len(index), dtype=bool)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """Seconds of each utterance, float64 [utterances]."""
        durations: NDArray[np.float64] = self._index["duration_s"].to_numpy()
        return durations

    def column(self, name: str) -> list[Any]:
        """A column of the index (`id`, `key`, `text`, ...), in the order of the utterances."""
        values: list[Any] = self._index[name].to_pylist()
        return values

    def read(self, index: int) -> Sample:
        """Read one utterance, all layers. Raises AuraError as `fetch` does."""
        return self.decode(self.fetch([index])[0])

    def fetch(self, indices: Sequence[int]) -> list[Fetched]:
        """Read the bytes of utterances; they are checked the first time.

        Raises:
            AuraError: naming shard and key, if the bytes are not those that were written.
        """
        rows = self._index.take(pa.array(indices)).to_pylist()
        result = [
            Fetched(row, data) for row, data in zip(rows, self._read_bytes(rows), strict=True)
        ]
        for index, fetched in zip(indices, result, strict=True):
            self._verify(index, fetched)
        return result

    def decode(self, fetched: Fetched, layers: Sequence[int] | None = None) -> Sample:
        """Return an utterance's tensors, of all layers or of some."""
        tensors, row = load(fetched.data), fetched.row
        return Sample(
            key=row["key"],
            text=row["text"],
            instruction=row["instruction"],
            response=row["response"],
            log_mel=tensors["log_mel"],
            layers={
                layer: self.codec.decode(tensors, layer, row["num_frames"])
                for layer in (self.layers if layers is None else layers)
            },
        )

    def stem(self) -> dict[str, Tensor]:
        """Return the teacher encoder's convolutions and positions, float32, by their names."""
        return load(_read_verified(self.uri, STEM, self._files))

    def _verify(self, index: int, fetched: Fetched) -> None:
        if self._verified[index]:
            return
        row, data = fetched.row, fetched.data
        if len(data) != row["size_bytes"] or store.xxh3(data) != row["xxh3"]:
            raise AuraError(
                f"{self.uri}: {self._tars[row['shard']].path}, key {row['key']}: the data is "
                f"damaged; {_REPAIR}"
            )
        self._verified[index] = True

    def _read_bytes(self, rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
        paths = [store.join(self.uri, self._tars[row["shard"]].path) for row in rows]
        spans = [(row["offset"], row["offset"] + row["size_bytes"]) for row in rows]
        try:
            return store.read_spans(paths, spans)
        except FileNotFoundError as error:
            raise AuraError(f"{self.uri}: a shard is missing ({error}); {_REPAIR}") from error


def open_cache(uri: str) -> TeacherCache:
    """Open a finished cache: its catalogue is verified, its tars are checked by size.

    Raises:
        AuraError: if the cache is not finished, or a file is missing or damaged.
    """
    files = cache_files(uri)
    try:
        catalogue = Catalogue.model_validate_json(_read_verified(uri, SHARDS, files))
    except ValidationError as error:
        raise AuraError(f"{uri} was written by another version of aura") from error
    _check_sizes(uri, catalogue)
    index = pq.read_table(pa.BufferReader(_read_verified(uri, INDEX, files)))
    return TeacherCache(uri, files, catalogue, index)


def _check_sizes(uri: str, catalogue: Catalogue) -> None:
    """One listing, however many tars there are."""
    found = store.list_tree(store.join(uri, "shards"))
    for tar in catalogue.tars:
        info = found.get(tar.path.removeprefix("shards/"))
        if info is None:
            raise AuraError(f"{uri}: {tar.path} is missing; {_REPAIR}")
        if info.size_bytes != tar.size_bytes:
            raise AuraError(
                f"{uri}: {tar.path} has {info.size_bytes} bytes, expected {tar.size_bytes}; "
                f"{_REPAIR}"
            )


def _read_verified(uri: str, path: str, files: Mapping[str, FileEntry]) -> bytes:
    """Read a small file of the artifact and check it against the manifest."""
    try:
        data = store.read_bytes(store.join(uri, path))
        if store.xxh3(data) == files[path].xxh3:
            return data
    except (FileNotFoundError, KeyError):
        pass
    raise AuraError(f"{uri}: {path} is missing or damaged; {_REPAIR}")
