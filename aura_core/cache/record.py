"""`shards/NNNNN.json`: what a finished shard holds and where, published after its tar."""

from pydantic import BaseModel, ConfigDict, ValidationError

from aura_core.artifacts import store

LAYER_STATS = "layer_stats.safetensors"
STEM = "teacher_stem.safetensors"


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


class Member(_Frozen):
    """Where the `<key>.safetensors` of an entry lies inside the tar."""

    entry: Entry
    offset: int
    size_bytes: int
    xxh3: str


class LayerError(_Frozen):
    """How far the stored states of a layer are from the exact float32 ones."""

    mean_cosine: float
    max_abs_error: float


class Digest(_Frozen):
    """Size and 128-bit XXH3 of a published file."""

    size_bytes: int
    xxh3: str


class ShardRecord(_Frozen):
    """Its existence marks the shard as finished."""

    format: int = 1
    name: str
    tar: Digest
    moments: Digest
    layers: tuple[int, ...]
    width: int
    n_mels: int
    num_frames: int
    duration_s: float
    errors: dict[int, LayerError]
    members: tuple[Member, ...]


def record_path(name: str) -> str:
    """Path of a shard's record, relative to the artifact."""
    return f"shards/{name}.json"


def tar_path(name: str) -> str:
    """Path of a shard's tar, relative to the artifact."""
    return f"shards/{name}.tar"


def moments_path(name: str) -> str:
    """Path of a shard's per-channel moments, relative to the artifact."""
    return f"shards/{name}.moments.safetensors"


def layer_name(layer: int) -> str:
    """Name of a layer's tensor in a sample."""
    return f"layer_{layer:02d}"


def read_record(uri: str, name: str) -> ShardRecord | None:
    """Return a shard's record, or None if it is not there or unreadable."""
    try:
        return ShardRecord.model_validate_json(store.read_bytes(store.join(uri, record_path(name))))
    except (FileNotFoundError, ValidationError):
        return None
