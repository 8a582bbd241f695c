"""`shards/NNNNNN.json`: what a finished shard is, published after its tar and its index part."""

from pydantic import BaseModel, ConfigDict, ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.manifest import FileEntry

SHARD_DIGITS = 6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Frozen):
    """An utterance of the cache, without its tensors."""

    key: str
    id: str
    text: str
    instruction: str | None
    response: str | None
    speaker: str | None
    split: str
    family: str | None
    duration_s: float
    num_mel_frames: int
    num_frames: int


class LayerError(_Frozen):
    """How far the stored states of a layer are from the exact ones, both standardised."""

    positions: int
    mean_cosine: float
    max_abs_error: float

    def merged(self, other: "LayerError | None") -> "LayerError":
        """Return the error over both sets of positions."""
        if other is None:
            return self
        positions = self.positions + other.positions
        total = self.positions * self.mean_cosine + other.positions * other.mean_cosine
        return LayerError(
            positions=positions,
            mean_cosine=total / positions,
            max_abs_error=max(self.max_abs_error, other.max_abs_error),
        )


class ShardRecord(_Frozen):
    """Its existence marks the shard as finished."""

    format: int = 2
    name: str
    codec: str
    tar: FileEntry
    members: FileEntry
    layers: tuple[int, ...]
    width: int
    n_mels: int
    utterances: int
    num_frames: int
    duration_s: float
    errors: dict[int, LayerError]


def shard_of(tar: FileEntry) -> str:
    """Name of the shard a tar holds."""
    return tar.path.removeprefix("shards/")[:SHARD_DIGITS]


def record_path(name: str) -> str:
    """Path of a shard's record, relative to the artifact."""
    return f"shards/{name}.json"


def members_path(name: str) -> str:
    """Path of a shard's part of the index, relative to the artifact."""
    return f"shards/{name}.parquet"


def layer_name(layer: int) -> str:
    """Name of a layer's tensor in a sample."""
    return f"layer_{layer:02d}"


def write_record(uri: str, record: ShardRecord) -> None:
    """Publish a record: a line of JSON and a line with the XXH3 of the first."""
    text = record.model_dump_json()
    store.write_text(
        store.join(uri, record_path(record.name)), f"{text}\n{store.xxh3(text.encode())}\n"
    )


def read_record(uri: str, name: str) -> ShardRecord | None:
    """Return a shard's record, or None if it is not there or damaged."""
    try:
        data = store.read_bytes(store.join(uri, record_path(name)))
    except FileNotFoundError:
        return None
    text, _, digest = data.partition(b"\n")
    if digest != f"{store.xxh3(text)}\n".encode():
        return None
    try:
        return ShardRecord.model_validate_json(text)
    except ValidationError:  # of another version of aura
        return None
