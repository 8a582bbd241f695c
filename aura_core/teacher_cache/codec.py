"""How teacher states become stored tensors, and back.

averaged to a rate -> standardised per channel -> (projected, a few states together) -> dtype

Statistics and projections are fitted once, on a sample of the cache's own clips, and are
part of the artifact: `codec.safetensors`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from aura_core.artifacts import store
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.stage import TEACHER_RATE_HZ
from aura_core.errors import AuraError
from aura_core.frames import group_frames, valid_positions
from aura_core.teacher_cache.record import layer_name

NAME = "codec.safetensors"
_INT8_MAX = 127
_CHUNK_VALUES = 1 << 17
# What lies beyond the sample's largest value is clipped; a little room costs a little accuracy.
_CHANNEL_HEADROOM = 1.25
_SMALLEST_SCALE = 2.0**-14  # the smallest normal float16


class Encoded(NamedTuple):
    """Rows as they are stored, and what that costs each of their states."""

    stored: Tensor  # [rows, row width]
    steps: Tensor | None  # float16 [rows, 1]
    cosine: Tensor  # float32 [rows, frames], of stored and exact state; 0 where there is none
    max_abs: Tensor  # float32 [rows, frames], largest difference of a value
    valid: Tensor  # bool [rows, frames]


@dataclass(frozen=True)
class LayerCodec:
    """One layer's statistics; what it stores are rows of one or more successive states."""

    mean: Tensor  # float32 [width]
    std: Tensor  # float32 [width]
    basis: Tensor | None = None  # float32 [rank, frames * width], orthonormal rows
    scale: Tensor | None = None  # float32 [row width], int8 steps where they are fixed

    def standardise(self, states: Tensor) -> Tensor:
        """[..., width] as the teacher gives them -> mean 0, standard deviation 1."""
        return (states - self.mean).div_(self.std)

    def raw(self, standardised: Tensor) -> Tensor:
        """Inverse of `standardise`: [..., width] as the teacher gave them."""
        return standardised * self.std + self.mean

    def encode(self, rows: Tensor, valid: Tensor, dtype: torch.dtype) -> Encoded:
        """Store rows [n, frames, width] of which the states `valid` [n, frames] are real."""
        exact = self.exact(rows, valid)
        stored, steps = self.store(exact.flatten(1), dtype)
        restored = self.restore(stored, steps).view_as(exact)
        lengths = torch.linalg.vecdot(restored, restored) * torch.linalg.vecdot(exact, exact)
        cosine = torch.linalg.vecdot(restored, exact) / lengths.sqrt().clamp(min=_SMALLEST_SCALE)
        error = (restored - exact).abs_().amax(dim=2)
        return Encoded(stored, steps, cosine.clamp(max=1) * valid, error * valid, valid)

    def exact(self, rows: Tensor, valid: Tensor) -> Tensor:
        """Standardise rows [n, frames, width], with zeros for states that are not `valid`."""
        exact = self.standardise(rows)
        return exact.mul_(valid[:, :, None]) if valid.shape[1] > 1 else exact

    def store(self, rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Return standardised rows [n, frames * width] as stored, and their int8 steps [n, 1]."""
        if self.basis is not None:
            rows = rows @ self.basis.T
        if dtype != torch.int8:
            return rows.to(dtype), None
        if self.scale is not None:
            return _to_int8(rows, self.scale), None
        largest = rows.abs().amax(dim=1, keepdim=True)
        steps = (largest / _INT8_MAX).clamp(min=_SMALLEST_SCALE).half()
        return _to_int8(rows, steps.float()), steps

    def restore(self, stored: Tensor, steps: Tensor | None = None) -> Tensor:
        """Inverse of `store`, as far as it can be: float32 [n, frames * width]."""
        rows = stored.float()
        if steps is not None:
            rows = rows * steps.float()
        elif self.scale is not None:
            rows = rows * self.scale
        return rows if self.basis is None else rows @ self.basis

    def to(self, device: torch.device) -> "LayerCodec":
        """The same on another device."""
        tensors = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value.to(device) for name, value in tensors.items()})


@dataclass(frozen=True)
class Codec:
    """All layers of a cache."""

    layers: dict[int, LayerCodec]
    rate_hz: float
    frames: int  # successive states in a row
    dtype: torch.dtype

    def num_positions(self, num_frames: Tensor) -> Tensor:
        """How many states at `rate_hz` cover so many at 50 Hz."""
        group = pooling(self.rate_hz)
        return (num_frames + group - 1) // group

    def rows(self, states: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Average a batch's states down to the cache's rate and pack them, clip after clip.

        Args:
            states: float32 [batch, frames_50hz, width].
            num_frames: int64 [batch], valid frames of each clip.

        Returns:
            float32 [rows, frames, width], zero where a row reaches beyond its clip; and which
            of its states are real, bool [rows, frames].
        """
        group = pooling(self.rate_hz)
        if group > 1:
            states, _ = group_frames(states, num_frames, group, "mean")
        valid = valid_positions(self.num_positions(num_frames), states.shape[1])
        if self.frames == 1:
            return states[valid][:, None], valid[valid][:, None]
        extra = -states.shape[1] % self.frames
        states = functional.pad(states * valid[:, :, None], (0, 0, 0, extra))
        states = states.view(len(states), -1, self.frames, states.shape[2])
        valid = functional.pad(valid, (0, extra)).view(len(valid), -1, self.frames)
        wanted = valid.any(dim=2)
        return states[wanted], valid[wanted]

    def encode(self, layer: int, states: Tensor, num_frames: Tensor) -> Encoded:
        """Store a batch's states of one layer, and compare what comes back with the exact ones.

        Args:
            layer: as the teacher counts.
            states: float32 [batch, frames_50hz, width].
            num_frames: int64 [batch], valid frames of each clip.
        """
        codec = self.layers[layer]
        rows, valid = self.rows(states, num_frames)
        # In pieces that stay in a core's cache: every step is one pass over memory.
        size = max(1, _CHUNK_VALUES // rows[0].numel())
        pieces = zip(torch.split(rows, size), torch.split(valid, size), strict=True)
        parts = [codec.encode(piece, mask, self.dtype) for piece, mask in pieces]
        steps = [part.steps for part in parts if part.steps is not None]
        return Encoded(
            stored=torch.cat([part.stored for part in parts]),
            steps=torch.cat(steps) if steps else None,
            cosine=torch.cat([part.cosine for part in parts]),
            max_abs=torch.cat([part.max_abs for part in parts]),
            valid=valid,
        )

    def restored(self, layer: int, states: Tensor, num_frames: Tensor) -> list[Tensor]:
        """What `decode` gives of a batch that `encode` stored, without comparing the two.

        Args:
            layer: as the teacher counts.
            states: float32 [batch, frames_50hz, width].
            num_frames: int64 [batch], valid frames of each clip.

        Returns:
            Of each clip float32 [positions, width], standardised.
        """
        codec = self.layers[layer]
        rows, valid = self.rows(states, num_frames)
        values = codec.restore(*codec.store(codec.exact(rows, valid).flatten(1), self.dtype))
        sizes = (self.num_rows(num_frames) * self.frames).tolist()
        clips = torch.split(values.view(-1, states.shape[2]), sizes)
        counts = self.num_positions(num_frames).tolist()
        return [clip[:count] for clip, count in zip(clips, counts, strict=True)]

    def num_rows(self, num_frames: Tensor) -> Tensor:
        """Rows of each clip."""
        return (self.num_positions(num_frames) + self.frames - 1) // self.frames

    def decode(self, tensors: Mapping[str, Tensor], layer: int, num_frames: int) -> Tensor:
        """Return a sample's states of a layer: float32 [positions, width], standardised."""
        name = layer_name(layer)
        rows = self.layers[layer].restore(tensors[name], tensors.get(f"{name}.scale"))
        positions = int(self.num_positions(torch.tensor(num_frames)))
        return rows.view(len(rows) * self.frames, -1)[:positions]

    def to(self, device: torch.device) -> "Codec":
        """The same on another device."""
        return replace(self, layers={k: codec.to(device) for k, codec in self.layers.items()})


def pooling(rate_hz: float) -> int:
    """How many of the teacher's 50 Hz states are averaged into one."""
    return round(TEACHER_RATE_HZ / rate_hz)


def fit_codec(
    batches: Sequence[tuple[Mapping[int, Tensor], Tensor]], config: TeacherCacheConfig
) -> Codec:
    """Fit a codec on a sample of clips.

    Args:
        batches: pairs of {layer: float32 [batch, frames_50hz, width]} and valid frames,
            int64 [batch].
        config: says what is stored.

    Raises:
        AuraError: if the projection's rank is larger than what it projects.
    """
    codec = Codec(
        layers={},
        rate_hz=config.rate_hz,
        frames=1 if config.projection_rank is None else config.projection_frames,
        dtype=getattr(torch, config.dtype),
    )
    for layer in sorted(batches[0][0]):
        sample = [codec.rows(states[layer], lengths) for states, lengths in batches]
        codec.layers[layer] = _fit_layer(sample, config)
    return codec


def _fit_layer(sample: Sequence[tuple[Tensor, Tensor]], config: TeacherCacheConfig) -> LayerCodec:
    states = torch.cat([rows[valid] for rows, valid in sample]).double()
    std, mean = torch.std_mean(states, dim=0, correction=0)
    fitted = LayerCodec(mean.float(), std.float().clamp(min=torch.finfo(torch.float32).tiny))
    rows = torch.cat([fitted.standardise(rows) * valid[:, :, None] for rows, valid in sample])
    if config.projection_rank is not None:
        basis = _principal_components(rows.flatten(1), config.projection_rank)
        fitted = replace(fitted, basis=basis)
    if config.dtype == "int8" and config.int8_scale == "channel":
        stored, _ = fitted.store(rows.flatten(1), torch.float32)
        largest = stored.abs().amax(dim=0)
        fitted = replace(fitted, scale=(largest * _CHANNEL_HEADROOM / _INT8_MAX).clamp(min=1e-9))
    return fitted


def _principal_components(rows: Tensor, rank: int) -> Tensor:
    """The directions of largest variance of standardised rows: float32 [rank, width]."""
    if rank > rows.shape[1]:
        raise AuraError(
            f"teacher_cache.projection_rank {rank}: there are only {rows.shape[1]} values to "
            "project; lower it or raise projection_frames"
        )
    _, vectors = torch.linalg.eigh(rows.double().T @ rows.double())
    basis = vectors.T.flip(0)[:rank]
    # An eigenvector's sign is arbitrary: fix it, so that the same sample gives the same bytes.
    largest = basis.gather(1, basis.abs().argmax(dim=1, keepdim=True))
    signed: Tensor = basis * largest.sign()
    return signed.float().contiguous()


def _to_int8(rows: Tensor, steps: Tensor) -> Tensor:
    return (rows / steps).round().clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8)


def to_bytes(codec: Codec) -> bytes:
    """Serialise as safetensors: `mean_01`, `std_01`, `basis_01`, `scale_01`, ..."""
    tensors = {
        f"{name}_{layer:02d}": value.cpu().contiguous()
        for layer, fitted in codec.layers.items()
        for name, value in vars(fitted).items()
        if value is not None
    }
    metadata = {
        "rate_hz": f"{codec.rate_hz:g}",
        "frames": str(codec.frames),
        "dtype": str(codec.dtype).removeprefix("torch."),
        "xxh3": _digest(tensors),
    }
    # One entry: safetensors writes several in an order that differs from process to process.
    return save(tensors, metadata={"codec": json.dumps(metadata)})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    return store.xxh3(b"".join([name.encode() + tensors[name].numpy().tobytes() for name in names]))


def from_bytes(data: bytes) -> Codec:
    """Inverse of `to_bytes`.

    Raises:
        AuraError: if the bytes are not those that were written.
    """
    damaged = AuraError(f"{NAME} is damaged: delete it and run the teacher_cache stage again")
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = json.loads(header["__metadata__"]["codec"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if metadata.get("xxh3") != _digest(tensors):
        raise damaged
    layers: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, layer = key.partition("_")
        layers.setdefault(int(layer), {})[name] = value
    return Codec(
        layers={layer: LayerCodec(**layers[layer]) for layer in sorted(layers)},
        rate_hz=float(metadata["rate_hz"]),
        frames=int(metadata["frames"]),
        dtype=getattr(torch, metadata["dtype"]),
    )
