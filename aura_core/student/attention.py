"""Who may look at whom in a sequence that mixes text, audio and alternative continuations.

A sample is laid out as one shared part (chat prefix and audio) followed by
branches, each an instruction and its response. Text is causal, audio positions
see each other both ways inside a chunk, and a branch sees the shared part and itself only:
the audio of a clip is computed once for all its instructions.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = -1
SHARED = 0


def attention_mask(branch: Tensor, is_audio: Tensor, chunk_positions: int | None) -> Tensor:
    """Return which keys each query sees.

    Args:
        branch: int64 [batch, length]; PADDING, SHARED, or the branch's number from 1.
        is_audio: bool [batch, length].
        chunk_positions: successive audio positions of a clip that see each other both ways,
            and all before them; None: the whole clip, 1: causal. Text lies between clips.

    Returns:
        bool [batch, 1, length, length], True where query i may attend to key j.
        Every query sees itself, so that no softmax row is empty.
    """
    length = branch.shape[1]
    index = torch.arange(length, device=branch.device)
    order = index[:, None] >= index[None, :]
    _, place = clip_positions(is_audio)
    # Chunks are counted in each clip, and told apart by where they start.
    size = chunk_positions or length
    chunk_start = index - place % size
    both = is_audio[:, :, None] & is_audio[:, None, :]
    # Text has a number as well, so that only audio may be of one chunk.
    order = order | (both & (chunk_start[:, :, None] == chunk_start[:, None, :]))
    query, key = branch[:, :, None], branch[:, None, :]
    visible = (key == SHARED) | (key == query)
    allowed = order & visible & (key != PADDING)
    return (allowed | torch.eye(length, dtype=torch.bool, device=branch.device))[:, None]


def clip_positions(is_audio: Tensor) -> tuple[Tensor, Tensor]:
    """Tell clips apart, between which there is text: `is_audio` is bool [batch, length].

    Returns:
        int64 [batch, length] each, of use at audio positions alone: the clip's number in the
        batch, in the order of its positions, and the position's number in its clip.
    """
    index = torch.arange(is_audio.shape[1], device=is_audio.device)
    starts = is_audio & ~pad(is_audio, (1, 0))[:, :-1]
    clip = (starts.flatten().cumsum(dim=0) - 1).clamp(min=0).view_as(index.expand(is_audio.shape))
    return clip, index - torch.where(starts, index, 0).cummax(dim=1).values


def positions(branch: Tensor) -> Tensor:
    """Return position ids [batch, length]: every branch goes on where the shared part ends."""
    batch, length = branch.shape
    result = torch.zeros_like(branch)
    shared = (branch == SHARED).sum(dim=1, keepdim=True)
    index = torch.arange(length, device=branch.device).expand(batch, length)
    is_shared = branch == SHARED
    result = torch.where(is_shared, index, result)
    for number in range(1, int(branch.max()) + 1):
        member = branch == number
        result = torch.where(member, shared + member.cumsum(dim=1) - 1, result)
    return result
