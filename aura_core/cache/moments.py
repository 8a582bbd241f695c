"""Exact per-channel mean and variance, merged in a fixed order."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Frames seen, their mean, and the sum of squared deviations from it (float64 [width])."""

    count: int
    mean: Tensor
    m2: Tensor

    @property
    def std(self) -> Tensor:
        """Population standard deviation, float64 [width]."""
        return (self.m2 / self.count).sqrt()


def moments_of(states: Tensor) -> Moments:
    """Return the moments of states [frames, width]."""
    exact = states.double()
    mean = exact.mean(dim=0)
    return Moments(len(exact), mean, (exact - mean).square().sum(dim=0))


def merge(left: Moments | None, right: Moments) -> Moments:
    """Combine the moments of two sets of frames (Chan, Golub and LeVeque, 1979)."""
    if left is None:
        return right
    count = left.count + right.count
    delta = right.mean - left.mean
    return Moments(
        count,
        left.mean + delta * (right.count / count),
        left.m2 + right.m2 + delta.square() * (left.count * right.count / count),
    )


def to_bytes(moments: Mapping[int, Moments]) -> bytes:
    """Serialise {layer: moments} as safetensors `count_01`, `mean_01`, `m2_01`, ..."""
    tensors: dict[str, Tensor] = {}
    for layer, value in moments.items():
        tensors[f"count_{layer:02d}"] = torch.tensor([value.count])
        tensors[f"mean_{layer:02d}"] = value.mean
        tensors[f"m2_{layer:02d}"] = value.m2
    return save(tensors)


def from_bytes(data: bytes) -> dict[int, Moments]:
    """Inverse of `to_bytes`."""
    tensors = load(data)
    layers = sorted(int(name.removeprefix("mean_")) for name in tensors if name.startswith("mean_"))
    return {
        layer: Moments(
            int(tensors[f"count_{layer:02d}"]),
            tensors[f"mean_{layer:02d}"],
            tensors[f"m2_{layer:02d}"],
        )
        for layer in layers
    }
