"""From samples to one right-padded batch of positions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aura_core.padding import valid_positions
from aura_core.student.attention import PADDING, SHARED

# Positions without a label; the value torch's cross-entropy ignores.
IGNORE = -100
_FILLER_ID = 0


@dataclass(frozen=True)
class Continuation:
    """Token ids after the audio: an instruction, and the response to learn (or none)."""

    suffix: list[int]
    response: list[int]


@dataclass(frozen=True)
class Layout:
    """One sample before padding: chat prefix, then audio positions or transcript, then branches."""

    prefix: list[int]
    num_audio_tokens: int
    text: list[int]
    continuations: Sequence[Continuation]


@dataclass(frozen=True)
class Batch:
    """A padded batch; every tensor is [batch, length] unless said otherwise."""

    input_ids: Tensor
    is_audio: Tensor
    branch: Tensor
    labels: Tensor
    input_features: Tensor | None = None  # float32 [batch, frames, channels]: what is heard
    num_feature_frames: Tensor | None = None  # int64 [batch]

    def to(self, device: torch.device) -> Self:
        """Move every tensor to `device`."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)


def collate(layouts: Sequence[Layout], features: Sequence[Tensor] | None = None) -> Batch:
    """Lay samples out and pad them.

    Args:
        layouts: one per sample.
        features: what is heard of each, float [frames, channels], or None for text only.
    """
    rows = [_row(layout) for layout in layouts]
    ids, audio, branch, labels = (
        [torch.tensor(row[i], dtype=torch.long) for row in rows] for i in range(4)
    )
    batch = Batch(
        input_ids=pad_sequence(ids, batch_first=True, padding_value=_FILLER_ID),
        is_audio=pad_sequence(audio, batch_first=True).bool(),
        branch=pad_sequence(branch, batch_first=True, padding_value=PADDING),
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE),
    )
    if features is None:
        return batch
    return replace(
        batch,
        input_features=pad_sequence([each.float() for each in features], batch_first=True),
        num_feature_frames=torch.tensor([len(each) for each in features]),
    )


def audio_states(batch: Batch, hidden: Tensor) -> Tensor:
    """Pick the audio positions: [batch, length, width] -> float32 [batch, positions, width].

    Zero where a clip has fewer positions than the longest.
    """
    counts = batch.is_audio.sum(dim=1)
    start = batch.is_audio.int().argmax(dim=1)
    index = start[:, None] + torch.arange(int(counts.max()), device=hidden.device)[None]
    index = index.clamp(max=hidden.shape[1] - 1)
    states = hidden.gather(1, index[:, :, None].expand(-1, -1, hidden.shape[2])).float()
    return states * valid_positions(counts, index.shape[1])[:, :, None]


def _row(layout: Layout) -> tuple[list[int], list[int], list[int], list[int]]:
    num_audio = layout.num_audio_tokens
    ids = [*layout.prefix, *[_FILLER_ID] * num_audio, *layout.text]
    audio = [0] * len(layout.prefix) + [1] * num_audio + [0] * len(layout.text)
    branch = [SHARED] * len(ids)
    labels = [IGNORE] * len(ids)
    for number, continuation in enumerate(layout.continuations, start=1):
        # The last token is only ever a label: nothing is predicted from it.
        tokens = [*continuation.suffix, *continuation.response[:-1]]
        ids += tokens
        audio += [0] * len(tokens)
        branch += [number] * len(tokens)
        if continuation.response:
            labels += [IGNORE] * (len(continuation.suffix) - 1) + continuation.response
        else:
            labels += [IGNORE] * len(tokens)
    return ids, audio, branch, labels
