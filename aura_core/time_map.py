"""Teacher frames (50 Hz) grouped to the student's audio positions."""

from typing import Literal

from torch import Tensor
from torch.nn import functional

from aura_core.padding import valid_positions


def group_frames(
    frames: Tensor, num_frames: Tensor, group: int, mode: Literal["stack", "mean"]
) -> tuple[Tensor, Tensor]:
    """Group every `group` frames into one target.

    Args:
        frames: float [batch, frames_50hz, width], zero where padded.
        num_frames: int64 [batch], the valid frames of each clip.
        group: frames in one student position.
        mode: "stack" concatenates a group's frames, "mean" averages the valid ones.

    Returns:
        The targets [batch, positions, width * group] ("stack") or [batch, positions,
        width] ("mean"), and their weights, float of the same shape: 1 where the
        target is real, 0 where it is padding.
    """
    batch, length, width = frames.shape
    valid = valid_positions(num_frames, length).to(frames)
    extra = -length % group
    frames = functional.pad(frames * valid[:, :, None], (0, 0, 0, extra))
    valid = functional.pad(valid, (0, extra))
    frames = frames.view(batch, -1, group, width)
    valid = valid.view(batch, -1, group, 1)
    if mode == "stack":
        return frames.flatten(2), valid.expand_as(frames).flatten(2)
    count = valid.sum(dim=2)
    return frames.sum(dim=2) / count.clamp(min=1), (count > 0).to(frames).expand(-1, -1, width)
