"""Several workers on one run: which utterances are whose, and sums over all of them.

A step is the same step whatever the number of workers: the same utterances, each trained on by
one worker, and losses that are means over all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from aura_core.student.student import Student

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
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

    def share(self, batch: Sequence[int]) -> Share:
        """This worker's utterances of a batch, of like lengths as everyone's."""
        own = list(batch[self.rank :: self.count])
        return Share(own or list(batch[:1]), len(batch), counts=bool(own))

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


def shares_of_mean(weights: Tensor, total: Tensor, workers: Workers) -> Tensor:
    """What a mean over some items counts for in the mean over all, float [...].

    Times the number of workers, because DistributedDataParallel averages their gradients.

    Args:
        weights: float [...], the items behind each mean here.
        total: the same, of all micro-batches and workers.
        workers: how many average.
    """
    return workers.count * weights / torch.clamp(total, min=1)
