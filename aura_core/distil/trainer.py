"""The training loop: phases of steps over the cache, resumable after any of them."""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from aura_core.artifacts.store import read_ahead
from aura_core.config.train import Phase, TrainConfig
from aura_core.device import synchronise
from aura_core.distil.batches import (
    Position,
    RankBatch,
    Schedule,
    Workers,
    endless_batches,
    loss_weights,
    pieces,
    rate_share,
    shard_frozen_weights,
)
from aura_core.distil.objective import Losses, Objective, nested
from aura_core.distil.training_set import OrdinaryText, TrainBatch, TrainingSet
from aura_core.distil.validation import (
    Similarity,
    has_stalled,
    split_off,
    state_similarity,
    validate,
    word_error_rate,
)
from aura_core.errors import AuraError
from aura_core.student.assembly import upper_pattern
from aura_core.student.prompts import ChatFormat
from aura_core.teacher_cache.index import Fetched

# Where the time of a step goes.


class Stopwatch:
    """Adds up the seconds of the parts of a step; on a GPU, of the work each part has started."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """What has passed since the lap before goes to `part`."""
        synchronise(self._device)
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now


_BETAS = (0.9, 0.98)
_CLIP_NORM = 1.0
_BATCHES_AHEAD = 4
# A loss so many times that of its phase's first step, or 1, will not come back.
_EXPLODED = 20.0


class Trainer:
    """Objective, optimiser and data of one run; `step` counts the finished steps."""

    def __init__(
        self,
        config: TrainConfig,
        objective: Objective,
        data: TrainingSet,
        ordinary_text: OrdinaryText | None = None,
    ) -> None:
        self.config = config
        self._ordinary_text = ordinary_text
        self.objective = objective
        self.step = 0
        self._first_loss: float | None = None
        self.data = data
        self.schedule = Schedule(config.phases)
        self.validation_losses: list[float] = []
        lengths, kept_out = data.lengths, config.validation.utterances
        if kept_out >= len(lengths):
            raise AuraError(
                f"validation.utterances is {kept_out}, but the cache has {len(lengths)} in all"
            )
        self._trained, self._kept_out = split_off(len(lengths), kept_out, config.seed)
        self.workers = Workers.of_this_process()
        self._parallel = self._over_workers()
        lower, upper = self._at_both_rates()
        self.optimizer = torch.optim.AdamW(
            [{"params": lower}, {"params": upper}], betas=_BETAS, weight_decay=0.0, fused=True
        )

    def _over_workers(self) -> nn.Module:
        """The objective, its gradients averaged over the workers if there are several."""
        if self.workers.count == 1:
            return self.objective
        sharded = self.config.runtime.shard_frozen_weights
        if sharded:
            shard_frozen_weights(self.objective.student)
        return DistributedDataParallel(
            self.objective,
            # A phase without cross-entropy does not reach the LoRA above.
            find_unused_parameters=True,
            broadcast_buffers=False,
            # Parts differ, and cannot be compared; what is whole has one seed everywhere.
            init_sync=not sharded,
        )

    @property
    def device(self) -> torch.device:
        """Where the student is."""
        return next(self.objective.parameters()).device

    @property
    def chat(self) -> ChatFormat:
        """The text around the audio."""
        return self.data.chat

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of everything that learns."""
        return {n: p for n, p in self.objective.named_parameters() if p.requires_grad}

    def similarity(self) -> Similarity | None:
        """How alike adapted blocks and teacher layers are now; None for a text student."""
        if not self.objective.layer_map:
            return None
        layers = self.data.cache.layers
        with self.objective.student.autocast():
            values = state_similarity(
                self.objective.student,
                self.data.only(layers),
                max(self.objective.layer_map),
                self.objective.states_per_position,
            )
        return Similarity(layers=list(layers), values=values.tolist())

    def run(self) -> Iterator[dict[str, Any]]:
        """Train from `step` to the end, yielding a record of each finished step.

        Raises:
            AuraError: when the loss is not finite, naming the step and its utterances.
        """
        while self.step < self.schedule.total_steps:
            here = self.schedule.position(self.step)
            if here.step_in_phase == 0:
                self.validation_losses = []
            steps = range(here.step_in_phase, here.phase.steps)
            wanted = zip(steps, self._shares(here), strict=False)
            fetch = partial(self._fetch, here.phase)
            # One thread, which only waits for storage: what computes here has the cores.
            fetched = read_ahead(wanted, fetch, threads=1, depth=_BATCHES_AHEAD)
            while (at := self.schedule.position(self.step)).phase_index == here.phase_index:
                asked = time.perf_counter()
                clips = next(fetched, None)
                if clips is None:
                    break
                record = self._train(at, clips, time.perf_counter() - asked)
                yield self._validated(record, here)
            fetched.close()

    def _shares(self, here: Position) -> Iterator[RankBatch]:
        """What this worker trains on from a position on, step by step."""
        lengths = self.data.lengths
        batches = endless_batches(
            [lengths[i] for i in self._trained],
            here.phase.batch_utterances,
            seed=self.config.seed * len(self.config.phases) + here.phase_index,
            skip=here.step_in_phase,
        )
        return (self.workers.rank_batch([self._trained[i] for i in batch]) for batch in batches)

    def _validated(self, record: dict[str, Any], here: Position) -> dict[str, Any]:
        """Add the losses on the clips kept out, if it is time, and end a phase that has stalled."""
        settings = self.config.validation
        if not self._kept_out or self.step % settings.every_steps:
            return record
        step = self.step - self.schedule.first_step(here.phase_index)
        clean = self.data.clean()
        found = nested(validate(self.objective, clean, self._kept_out, here.phase, step - 1))
        if settings.wer and here.phase.uses_text_loss:
            found["wer"] = word_error_rate(self.objective.student, clean, self._kept_out)
        self.validation_losses.append(found["loss"])
        if has_stalled(self.validation_losses, settings.patience):
            self.schedule.phase_steps[here.phase_index] = step
        return {**record, "validation": found}

    def _fetch(
        self, phase: Phase, wanted: tuple[int, RankBatch]
    ) -> tuple[RankBatch, list[Fetched]]:
        step, share = wanted
        # A step of text alone hears none of its clips.
        return share, [] if phase.is_text_step(step) else self.data.fetch(share.indices)

    def _train(
        self, here: Position, clips: tuple[RankBatch, list[Fetched]], data_wait_s: float
    ) -> dict[str, Any]:
        share_of_batch, fetched = clips
        watch = Stopwatch(self.device)
        phase = here.phase
        reads = phase.is_text_step(here.step_in_phase)
        share = rate_share(phase, here.step_in_phase)
        rates = (phase.learning_rate, phase.upper_learning_rate or phase.learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = share * rate
        most = self.config.runtime.micro_batch_utterances
        if reads:
            assert self._ordinary_text is not None
            # The clips drawn for the step choose the instructions: the same ones in a resumed run.
            numbers = pieces(share_of_batch.indices, most)
            batches = [self._ordinary_text.assemble(piece) for piece in numbers]
        else:
            batches = [
                self.data.assemble(piece, with_text=phase.uses_text_loss, step=self.step)
                for piece in pieces(fetched, most)
            ]
        watch.lap("assemble")
        losses, norm = self.update(
            batches, phase, here.step_in_phase, counts=share_of_batch.counts, watch=watch
        )
        self.step += 1
        seconds = {"data_wait": data_wait_s, **watch.seconds}
        return {
            "step": self.step,
            "phase": phase.name,
            "clips": 0 if reads else share_of_batch.of,
            **(_of_text(losses) if reads else losses),
            "learning_rate": share * phase.learning_rate,
            "gradient_norm": norm,
            "samples_per_s": share_of_batch.of / sum(seconds.values()),
            "data_wait_s": data_wait_s,
            "seconds": seconds,
        }

    def update(
        self,
        batches: Sequence[TrainBatch],
        phase: Phase,
        step: int,
        *,
        counts: bool = True,
        watch: Stopwatch | None = None,
    ) -> tuple[dict[str, Any], float]:
        """Forward, backward and the optimiser's step on this worker's part of a batch.

        Args:
            batches: one, or several micro-batches whose gradients are added up.
            phase: weighs the losses.
            step: of the phase, counted from 0.
            counts: False for a worker that only takes part because all must.
            watch: gets the seconds of forward, backward and optimiser.

        Returns:
            The losses of all workers' parts together, and the norm of the gradient before it was
            clipped.

        Raises:
            AuraError: if the loss is not finite or explodes, or memory is too small.
        """
        watch = watch or Stopwatch(self.device)
        weights = [counts * self.objective.weights(data) for data in batches]
        # Where the process group adds up: NCCL takes no CPU tensor.
        total = self.workers.sum(torch.stack(weights).sum(dim=0).to(self.device)).cpu()
        summed: dict[str, Tensor] = {}
        for number, (data, weight) in enumerate(zip(batches, weights, strict=True), start=1):
            shares = loss_weights(weight, total, self.workers).tolist()
            with self._reduced_if(number == len(batches)):
                losses = self._accumulate(data, phase, step, shares, watch)
            for name, loss in losses.scalars().items():
                summed[name] = summed.get(name, torch.zeros_like(loss)) + loss.detach()
        found = self.workers.sum(torch.stack(list(summed.values()))) / self.workers.count
        record = dict(zip(summed, found.tolist(), strict=True))
        self._check_loss(record["loss"], phase, step, [k for b in batches for k in b.keys])
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), _CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        watch.lap("optimizer")
        return nested(record), float(norm)

    def _accumulate(
        self,
        data: TrainBatch,
        phase: Phase,
        step: int,
        shares: Sequence[float],
        watch: Stopwatch,
    ) -> Losses:
        try:
            data = data.to(self.device)
            # Over both: blocks that are computed again must be so in the same way.
            with _quick_attention(self.device):
                with self.objective.student.autocast():
                    losses: Losses = self._parallel(data, phase, step, shares)
                watch.lap("forward")
                torch.autograd.backward(losses.total)
            watch.lap("backward")
        except torch.OutOfMemoryError as error:
            raise AuraError(
                f"step {self.step + 1} ({phase.name}): out of memory with {len(data.keys)} clips "
                f"of up to {max(data.num_states.tolist())} teacher states; set "
                f"runtime.micro_batch_utterances below {len(data.keys)}, or "
                "runtime.checkpoint_activations"
            ) from error
        return losses

    def _reduced_if(self, last: bool) -> AbstractContextManager[None]:
        """Let the workers' gradients be averaged, after the last micro-batch only."""
        if last or not isinstance(self._parallel, DistributedDataParallel):
            return nullcontext()
        return self._parallel.no_sync()

    def _check_loss(self, loss: float, phase: Phase, step: int, keys: Sequence[str]) -> None:
        """Raise AuraError if the loss is not finite, or many times what the phase began with."""
        if step == 0 or self._first_loss is None:
            self._first_loss = abs(loss)
        if math.isfinite(loss) and abs(loss) <= _EXPLODED * max(self._first_loss, 1.0):
            return
        raise AuraError(
            f"step {self.step + 1} ({phase.name}): the loss is {loss:.4g}; "
            f"lower its learning_rate or look at the utterances {', '.join(keys)}"
        )

    def _at_both_rates(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What learns at a phase's rate, and the LoRA above the adapted blocks."""
        above = upper_pattern(self.objective.student.causal_lm, self.config.lora)
        lower: list[nn.Parameter] = []
        upper: list[nn.Parameter] = []
        for name, parameter in self.trainable.items():
            (upper if re.fullmatch(above, name) else lower).append(parameter)
        return lower, upper


def _of_text(losses: Mapping[str, Any]) -> dict[str, Any]:
    """A record's losses under names of their own, apart from those of steps with audio."""
    return {f"text_{name}" if name in ("ce", "kl") else name: v for name, v in losses.items()}


def _quick_attention(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU, attention of plain products: the fused one's backward pass takes far longer."""
    if device.type != "cpu":
        return nullcontext()
    context: AbstractContextManager[None] = sdpa_kernel(SDPBackend.MATH)
    return context
