"""Who may look at whom in a sequence that mixes text, audio and alternative continuations.

A sample is laid out as one shared part (chat prefix and audio) followed by
branches, each an instruction and its response. Text is causal, audio positions
see each other both ways inside a chunk, and a branch sees the shared part and itself only:
the audio of a clip is computed once for all its instructions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
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


def make_position_ids(branch: Tensor) -> Tensor:
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


# LoRA that is on at audio positions only, so that text passes through the LLM unchanged.


class AudioGate:
    """Computes every LoRA of an LLM where audio is, and nowhere else."""

    def __init__(self, llm: nn.Module) -> None:
        self._audio_rows: Tensor | None = None
        self._used = False
        for module in llm.modules():
            if isinstance(module, LoraLayer):
                # PEFT's own forward computes LoRA at every position.
                module.forward = partial(self._forward, module)

    @contextmanager
    def over(self, audio_rows: Tensor | None) -> Iterator[None]:
        """Open the gate at some rows of [batch * length] while the block runs.

        `audio_rows` is int64 [rows]; None: no LoRA is computed at all.
        """
        self._audio_rows, self._used = audio_rows, True
        try:
            yield
        finally:
            self._audio_rows, self._used = None, False

    def _forward(self, module: LoraLayer, states: Tensor) -> Tensor:
        """The linear map of [batch, length, in] states, plus LoRA in the rows that are audio."""
        assert self._used, "a gated LLM runs through Student.run only"
        result: Tensor = module.get_base_layer()(states)
        if self._audio_rows is None:
            return result
        [(name, down)] = module.lora_A.items()
        heard = states.flatten(0, 1).index_select(0, self._audio_rows)
        # Scaled where it is narrow; in LoRA's own precision, as PEFT has it.
        narrow = down(heard.to(down.get_parameter("weight").dtype)) * module.scaling[name]
        update = module.lora_B[name](narrow)
        # In place: the gradient of a linear map needs its input only.
        result.flatten(0, 1).index_add_(0, self._audio_rows, update.to(result.dtype))
        return result
