"""Which utterances make which batch, for which worker, and at which learning rate.

A step is the same step whatever the number of workers: the same utterances, each trained on by
one worker, and losses that are means over all of them.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from aura_core.config.train import Phase
from aura_core.student.student import Student

# Which utterances make which batch: a pure function of lengths, seed and step.

# Batches are cut from windows this many batches wide, sorted by length inside.
_WINDOW_BATCHES = 16


def epoch_batches(
    lengths: Sequence[float], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Return one epoch of batches of similar length; every index occurs exactly once."""
    rng = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    window = batch_size * _WINDOW_BATCHES
    batches = []
    for start in range(0, len(order), window):
        indices = sorted(order[start : start + window], key=lambda i: (lengths[i], i))
        batches += [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    rng.shuffle(batches)
    return batches


def endless_batches(
    lengths: Sequence[float], batch_size: int, seed: int, skip: int = 0
) -> Iterator[list[int]]:
    """Yield batches epoch after epoch, starting after the first `skip` batches."""
    per_epoch = -(-len(lengths) // batch_size)
    epoch, offset = divmod(skip, per_epoch)
    while True:
        yield from epoch_batches(lengths, batch_size, seed, epoch)[offset:]
        epoch, offset = epoch + 1, 0


# Which phase a step is of, and how fast it learns.

# Each phase's learning rate ends at this share of its peak.
_FINAL_RATE = 0.05


@dataclass(frozen=True)
class Position:
    """Where a step stands: its phase and its number inside the phase, from 0.

    After the last step `phase_index` is the number of phases.
    """

    phase_index: int
    phase: Phase
    step_in_phase: int


class Schedule:
    """The phases of a run, of `phase_steps` steps each: a phase that no longer helps ends early."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self.phase_steps = [phase.steps for phase in phases]

    @property
    def total_steps(self) -> int:
        """Steps of all phases."""
        return sum(self.phase_steps)

    def first_step(self, phase_index: int) -> int:
        """Steps of the run before a phase."""
        return sum(self.phase_steps[:phase_index])

    def position(self, step: int) -> Position:
        """Where a step of the run stands, counted from 0."""
        remaining = step
        for index, (phase, steps) in enumerate(zip(self._phases, self.phase_steps, strict=True)):
            if remaining < steps:
                return Position(index, phase, remaining)
            remaining -= steps
        return Position(len(self._phases), self._phases[-1], remaining)


def rate_share(phase: Phase, step: int) -> float:
    """Share of a phase's peak rate: linear warm-up, then half a cosine down to a small share."""
    if step < phase.warmup_steps:
        return (step + 1) / phase.warmup_steps
    progress = (step - phase.warmup_steps) / max(1, phase.steps - phase.warmup_steps)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress))


Item = TypeVar("Item")


@dataclass(frozen=True)
class RankBatch:
    """A worker's utterances of a batch of `of`."""

    indices: list[int]
    of: int
    counts: bool = True  # False: it has none, and trains on another's only to take part


@dataclass(frozen=True)
class Workers:
    """This worker's place among those of its process group; alone without one."""

    rank: int = 0
    count: int = 1

    @classmethod
    def of_this_process(cls) -> "Workers":
        """What `torch.distributed` says, if it is initialised."""
        if not dist.is_available() or not dist.is_initialized():
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this worker writes what all have made."""
        return self.rank == 0

    def rank_batch(self, batch: Sequence[int]) -> RankBatch:
        """This worker's utterances of a batch, of like lengths as everyone's."""
        own = list(batch[self.rank :: self.count])
        return RankBatch(own or list(batch[:1]), len(batch), counts=bool(own))

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over the workers; gradients do not pass."""
        total = values.detach().clone()
        if self.count > 1:
            dist.all_reduce(total)
        return total


def shard_frozen_weights(student: Student) -> None:
    """Leave each worker a part of every block's frozen weights; a block has all while it runs.

    What learns stays whole on every worker, and so do the embeddings, which are used outside
    the blocks. Works on the process group, with FSDP2.

    Args:
        student: on the device it will run on.
    """
    device = student.device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in student.decoder.layers:
        learns = {p for p in block.parameters() if p.requires_grad}
        fully_shard(block, mesh=mesh, ignored_params=learns)
    # The root, with no weights of its own, has the next block gathered while one runs.
    fully_shard(student, mesh=mesh, ignored_params=set(student.parameters()))
    for entry in ("prefill", "go_on"):
        register_fsdp_forward_method(student, entry)


def pieces(items: Sequence[Item], size: int | None) -> list[Sequence[Item]]:
    """Cut a worker's utterances into micro-batches of at most `size`; None leaves them whole."""
    size = size or max(1, len(items))
    return [items[start : start + size] for start in range(0, len(items), size)]


def loss_weights(weights: Tensor, total: Tensor, workers: Workers) -> Tensor:
    """What a mean over some items counts for in the mean over all, float [...].

    Times the number of workers, because DistributedDataParallel averages their gradients.

    Args:
        weights: float [...], the items behind each mean here.
        total: the same, of all micro-batches and workers.
        workers: how many average.
    """
    return workers.count * weights / torch.clamp(total, min=1)
