"""From samples to one right-padded batch of positions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aura_core.frames import valid_positions
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
    # What is heard: float32 [clips, frames, channels], in the order of their positions.
    input_features: Tensor | None = None
    num_feature_frames: Tensor | None = None  # int64 [clips]

    def to(self, device: torch.device) -> Self:
        """Move every tensor to `device`."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)

    def keep(self, kept: Tensor) -> Self:
        """The batch without the positions where `kept` (bool [batch, length]) is False."""
        kept = kept & (self.branch != PADDING)
        return replace(
            self,
            input_ids=self.picked(self.input_ids, kept, _FILLER_ID),
            is_audio=self.picked(self.is_audio, kept, False),
            branch=self.picked(self.branch, kept, PADDING),
            labels=self.picked(self.labels, kept, IGNORE),
        )

    def picked(self, values: Tensor, kept: Tensor, filler: int = 0) -> Tensor:
        """Values [batch, length] where `kept` is True, padded on the right to the longest row."""
        kept = kept & (self.branch != PADDING)
        counts = kept.sum(dim=1)
        first = (~kept).int().argsort(dim=1, stable=True)[:, : int(counts.max())]
        picked = values.gather(1, first)
        return picked.masked_fill(~valid_positions(counts, first.shape[1]), filler)


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
    return batch if features is None else _with_features(batch, features)


def lay_out_conversation(
    pieces: Sequence[Sequence[int]], num_audio_tokens: Sequence[int], features: Sequence[Tensor]
) -> Batch:
    """Lay one conversation out to be gone on with: a batch of one, without labels.

    Args:
        pieces: token ids before, between and after the clips: one more than clips.
        num_audio_tokens: positions of each clip.
        features: what is heard of each, float [frames, channels].
    """
    ids: list[int] = list(pieces[0])
    audio = [0] * len(ids)
    for count, piece in zip(num_audio_tokens, pieces[1:], strict=True):
        ids += [*[_FILLER_ID] * count, *piece]
        audio += [1] * count + [0] * len(piece)
    input_ids = torch.tensor([ids])
    batch = Batch(
        input_ids=input_ids,
        is_audio=torch.tensor([audio]).bool(),
        branch=torch.full_like(input_ids, SHARED),
        labels=torch.full_like(input_ids, IGNORE),
    )
    return _with_features(batch, features) if features else batch


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


def _with_features(batch: Batch, features: Sequence[Tensor]) -> Batch:
    return replace(
        batch,
        input_features=pad_sequence([each.float() for each in features], batch_first=True),
        num_feature_frames=torch.tensor([len(each) for each in features]),
    )


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
