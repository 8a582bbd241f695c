"""Which frames of a padded batch are real, and how frames are grouped to audio positions."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

# Which positions of a padded batch are real.


def valid_positions(lengths: Tensor, size: int) -> Tensor:
    """Return bool [batch, size], True at the first `lengths` (int64 [batch]) positions of each."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


def group_frames(
    frames: Tensor, num_frames: Tensor, group: int, mode: Literal["stack", "mean", "interpolate"]
) -> tuple[Tensor, Tensor]:
    """Group every `group` frames into one target.

    Args:
        frames: float [batch, frames_50hz, width].
        num_frames: int64 [batch], the valid frames of each clip.
        group: frames in one student position.
        mode: "stack" concatenates a group's frames, "mean" averages the valid ones,
            "interpolate" takes the sequence, linear between frames, at the group's centre.

    Returns:
        The targets [batch, positions, width * group] ("stack") or [batch, positions,
        width] (else), and their weights, float of the same shape: 1 where the
        target is real, 0 where it is padding.
    """
    batch, length, width = frames.shape
    own = valid_positions(num_frames, length)
    extra = -length % group
    valid = functional.pad(own, (0, extra)).view(batch, -1, group)
    if mode == "stack":
        masked = functional.pad(frames * own[:, :, None], (0, 0, 0, extra))
        targets = masked.view(batch, -1, group * width)
        return targets, valid.repeat_interleave(width, dim=2).to(frames)
    count = valid.sum(dim=2)[:, :, None]
    weights = (count > 0).to(frames).expand(-1, -1, width)
    if mode == "interpolate":
        return _at_centres(frames, num_frames, group), weights
    return _sums(frames, num_frames, group) / count.clamp(min=1), weights


def _sums(frames: Tensor, num_frames: Tensor, group: int) -> Tensor:
    """Sum every `group` frames [batch, length, width], padding left out where both meet."""
    batch, length, width = frames.shape
    full = length // group
    sums = frames[:, : full * group].reshape(batch, full, group, width).sum(dim=2)
    if length % group:
        sums = torch.cat([sums, frames[:, full * group :].sum(dim=1, keepdim=True)], dim=1)
    # Only a clip's last group can hold padding as well: masking every frame would copy them all.
    clip = torch.arange(batch, device=frames.device)
    last = (num_frames - 1).clamp(min=0) // group
    index = last[:, None] * group + torch.arange(group, device=frames.device)
    own = (index < num_frames[:, None])[:, :, None]
    members = frames[clip[:, None], index.clamp(max=length - 1)]
    sums[clip, last] = (members * own).sum(dim=1)
    return sums


def _at_centres(frames: Tensor, num_frames: Tensor, group: int) -> Tensor:
    """Interpolate at the middle of each group, never beyond a clip's last frame."""
    length, width = frames.shape[1:]
    positions = torch.arange((length + group - 1) // group, device=frames.device)
    end = (num_frames[:, None] - 1).clamp(min=0)
    centre = (positions * group + (group - 1) / 2)[None].minimum(end)
    before = centre.floor().long()
    after = (before + 1).minimum(end)
    share = (centre - before)[:, :, None].to(frames)
    left, right = (
        frames.gather(1, index[:, :, None].expand(-1, -1, width)) for index in (before, after)
    )
    return torch.lerp(left, right, share)
