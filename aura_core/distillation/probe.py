"""How alike a student's blocks and the teacher's layers are, on a few clips of the cache."""

from typing import TypedDict

import torch
from torch import Tensor

from aura_core.distillation.similarity import linear_cka
from aura_core.distillation.training_set import TrainingSet
from aura_core.padding import valid_positions
from aura_core.student.student import Student
from aura_core.time_map import group_frames

_CLIPS = 32


class Similarity(TypedDict):
    """A matrix with its labels, as `similarity.json` holds it before and after training."""

    layers: list[int]
    values: list[list[float]]  # [blocks, layers]


@torch.no_grad()
def state_similarity(
    student: Student, data: TrainingSet, num_blocks: int, states_per_position: int
) -> Tensor:
    """Return the linear CKA of every block with every layer: float32 [blocks, layers].

    Clips are spread over the cache; the teacher's states are averaged to audio positions.

    Args:
        student: as it is now.
        data: with the layers to compare.
        num_blocks: from the first.
        states_per_position: of the cache.
    """
    count = len(data.lengths)
    chosen = range(0, count, max(1, count // _CLIPS))[:_CLIPS]
    device = next(student.parameters()).device
    batch = data.assemble(data.fetch(chosen), with_text=False, step=0).to(device)
    blocks = tuple(range(1, num_blocks + 1))
    hidden = student(batch.batch, blocks=blocks, stop_after=num_blocks).audio
    counts = batch.batch.is_audio.sum(dim=1)
    valid = valid_positions(counts, int(counts.max()))
    heard = [hidden[block][valid] for block in blocks]
    rows = []
    for layer in data.layers:
        target, _ = group_frames(
            batch.teacher[layer], batch.num_states, states_per_position, "mean"
        )
        rows.append(torch.stack([linear_cka(each, target[valid]) for each in heard]))
    return torch.stack(rows, dim=1).cpu()
