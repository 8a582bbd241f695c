"""Teacher frames (50 Hz) grouped to the student's audio positions."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from aura_core.padding import valid_positions


def group_frames(
    frames: Tensor, num_frames: Tensor, group: int, mode: Literal["stack", "mean"]
) -> tuple[Tensor, Tensor]:
    """Group every `group` frames into one target.

    Args:
        frames: float [batch, frames_50hz, width]; they must be zero where padded.
        num_frames: int64 [batch], the valid frames of each clip.
        group: frames in one student position.
        mode: "stack" concatenates a group's frames, "mean" averages the valid ones.

    Returns:
        The targets [batch, positions, width * group] ("stack") or [batch, positions,
        width] ("mean"), and their weights, float of the same shape: 1 where the
        target is real, 0 where it is padding.
    """
    batch, length, width = frames.shape
    valid = valid_positions(num_frames, length)
    extra = -length % group
    valid = functional.pad(valid, (0, extra)).view(batch, -1, group)
    if mode == "stack":
        targets = functional.pad(frames, (0, 0, 0, extra)).view(batch, -1, group * width)
        return targets, valid.repeat_interleave(width, dim=2).to(frames)
    count = valid.sum(dim=2)[:, :, None]
    # Padding the frames would copy them all; only the last group can be short.
    full = length // group
    whole = frames[:, : full * group].reshape(batch, full, group, width).sum(dim=2)
    rest = frames[:, full * group :].sum(dim=1, keepdim=True)
    sums = torch.cat([whole, rest], dim=1)[:, : count.shape[1]]
    return sums / count.clamp(min=1), (count > 0).to(frames).expand_as(sums)
