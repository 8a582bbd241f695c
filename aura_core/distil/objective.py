"""What a training step minimises: cross-entropy, distillation and the rest, each weighted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aura_core.config.train import DistillationConfig, Phase
from aura_core.distil.losses import LOSSES, cross_entropy, kl_to_top, moment_loss
from aura_core.distil.training_set import TrainBatch
from aura_core.frames import group_frames, valid_positions
from aura_core.student.batch import IGNORE, Batch
from aura_core.student.handover import CtcHead
from aura_core.student.student import Hidden, Student
from aura_core.teacher_cache.codec import Codec

PARTS = ("ce", "kl", "distil", "ctc", "moments")


@dataclass(frozen=True)
class Losses:
    """Scalars of one step; a part whose weight is zero is not computed and is None."""

    total: Tensor
    ce: Tensor | None
    kl: Tensor | None
    distil: Tensor | None
    distil_blocks: dict[int, Tensor]
    ctc: Tensor | None
    moments: Tensor | None

    def scalars(self) -> dict[str, Tensor]:
        """Every loss that was computed, by its name: `loss` is the total, `distil.4` a block's."""
        parts = {"loss": self.total, **{name: getattr(self, name) for name in PARTS}}
        blocks = {f"distil.{block}": loss for block, loss in self.distil_blocks.items()}
        return {name: loss for name, loss in {**parts, **blocks}.items() if loss is not None}


class Objective(nn.Module):
    """A student with its training-only heads.

    `states_per_position`: the cache's teacher states that make one audio position. `ctc_head`
    holds the LLM's own states of tokens after the last adapted block, which CTC and the moments
    compare audio with; it is the hand-over's own where the student has one. With `raw_by`, the
    cache's codec, teacher states are compared as the teacher gave them.
    """

    def __init__(
        self,
        student: Student,
        config: DistillationConfig,
        layer_map: Mapping[int, int],
        heads: nn.ModuleDict,
        ctc_head: CtcHead | None,
        states_per_position: int,
        raw_by: Codec | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.heads = heads
        self.ctc_head = ctc_head
        self.layer_map = dict(layer_map)
        self._config = config
        self._loss = LOSSES[config.loss]
        self.states_per_position = states_per_position
        self._raw_by = raw_by

    def weights(self, data: TrainBatch) -> Tensor:
        """What each of `PARTS` is a mean over, float64 [parts]: tokens, positions, clips.

        CKA and the moments are statistics of the batch they are given and no means over it:
        of several micro-batches each counts by its positions.
        """
        labelled = (data.batch.labels != IGNORE).sum()
        tokens = labelled if data.token_weights is None else data.token_weights.sum()
        clips = len(data.keys)
        positions = data.batch.is_audio.sum()
        by_value = self._loss.is_mean_of_values and self._config.time_map == "stack"
        targets = data.num_states.sum() if by_value else positions
        counts = [float(each) for each in (tokens, tokens, targets, clips, positions)]
        return torch.tensor(counts, dtype=torch.float64)

    def forward(
        self, data: TrainBatch, phase: Phase, step: int, shares: Sequence[float] | None = None
    ) -> Losses:
        """Compute the losses of one batch; one of text alone has those of its answers only.

        Args:
            data: the batch.
            phase: weighs the losses.
            step: of the phase, counted from 0.
            shares: what each of `PARTS` is multiplied with, where the batch is one of several
                whose losses are added up; None is 1.
        """
        has_audio = data.batch.input_features is not None
        adapted = max(self.layer_map, default=None)
        hidden = self.student(
            data.batch,
            blocks=tuple(self.layer_map) if has_audio else (),
            stop_after=None if phase.uses_text_loss else adapted,
        )
        audio = hidden.audio
        ce, kl = self._answer_losses(data, hidden, phase)
        blocks = self.distillation(data, audio) if has_audio and phase.distil else {}
        distil = self._weighted(blocks) if blocks else None
        ctc = self._ctc(data, audio) if has_audio and phase.ctc else None
        moments = self._moments(data, audio) if has_audio and phase.moments else None
        share = dict(zip(PARTS, shares or [1.0] * len(PARTS), strict=True))
        found = {"ce": ce, "kl": kl, "distil": distil, "ctc": ctc, "moments": moments}
        parts = {name: share[name] * loss for name, loss in found.items() if loss is not None}
        weights = {name: getattr(phase, name) for name in PARTS}
        weights["distil"] = phase.distil_weight(step)
        total = torch.stack([weights[name] * loss for name, loss in parts.items()]).sum()
        return Losses(
            total=total,
            distil_blocks={block: share["distil"] * loss for block, loss in blocks.items()},
            **{name: parts.get(name) for name in PARTS},
        )

    @torch.no_grad()
    def ctc_decode(self, batch: Batch) -> list[list[int]]:
        """Greedy CTC reading of the last adapted block: token ids of each clip.

        Training only, as the heads are: it shows what the audio states spell before any
        block above has learned to read them.
        """
        assert self.ctc_head is not None
        adapted = max(self.layer_map)
        hidden = self.student(batch, blocks=(adapted,), stop_after=adapted)
        return self.ctc_head.ctc_decode(hidden.audio[adapted], batch.is_audio.sum(dim=1))

    def _answer_losses(
        self, data: TrainBatch, hidden: Hidden, phase: Phase
    ) -> tuple[Tensor | None, Tensor | None]:
        """Cross-entropy and KL at the tokens to learn, each a mean by their weights."""
        if not phase.uses_text_loss:
            return None, None
        assert hidden.last is not None
        # Slots stand where audio was: the labels are those of what was read, in the same order.
        labelled = hidden.read.labels != IGNORE
        logits = self.student.logits(hidden.last[labelled]).float()
        labels, weights = hidden.read.labels[labelled], data.token_weights
        ce = cross_entropy(logits, labels, weights) if phase.ce else None
        if not phase.kl:
            return ce, None
        assert data.top_ids is not None, "the config asks for logits that were not made"
        assert data.top_logprobs is not None
        return ce, kl_to_top(logits, data.top_ids, data.top_logprobs, weights)

    def distillation(self, data: TrainBatch, audio: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Return each mapped block's loss, given its audio states [batch, positions, width]."""
        result = {}
        for block, layer in self.layer_map.items():
            states = data.teacher[layer]
            target, weight = group_frames(
                states if self._raw_by is None else self._raw_by.layers[layer].raw(states),
                data.num_states,
                self.states_per_position,
                self._config.time_map,
            )
            states = audio[block]
            # Without heads where a loss compares states as they are, such as CKA.
            predicted = self.heads[str(block)](states) if len(self.heads) else states
            result[block] = self._loss.function(predicted, target, weight)
        return result

    def _weighted(self, blocks: Mapping[int, Tensor]) -> Tensor:
        weights = self._config.layer_weights or dict.fromkeys(blocks, 1.0)
        total = torch.stack([weights[block] * loss for block, loss in blocks.items()]).sum()
        return total / sum(weights.values())

    def _ctc(self, data: TrainBatch, audio: Mapping[int, Tensor]) -> Tensor:
        assert self.ctc_head is not None
        num_positions = data.batch.is_audio.sum(dim=1)
        loss: Tensor = self.ctc_head(audio[max(self.layer_map)], num_positions, data.transcripts)
        return loss

    def _moments(self, data: TrainBatch, audio: Mapping[int, Tensor]) -> Tensor:
        assert self.ctc_head is not None
        states = audio[max(self.layer_map)]
        counts = data.batch.is_audio.sum(dim=1)
        valid = valid_positions(counts, states.shape[1])
        return moment_loss(self.ctc_head.tokens.standardise(states), valid)


def nested(losses: Mapping[str, float]) -> dict[str, Any]:
    """A record's losses, with those of the blocks together under `distil_blocks`."""
    blocks = {name.removeprefix("distil."): v for name, v in losses.items() if "." in name}
    return {name: v for name, v in losses.items() if "." not in name} | {"distil_blocks": blocks}
