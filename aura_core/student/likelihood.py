"""How likely a student's LLM finds given responses."""

import torch
from torch import Tensor

from aura_core.student.batch import IGNORE, Batch
from aura_core.student.student import Student


@torch.inference_mode()
def log_likelihoods(student: Student, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sum up the log probabilities of each sample's labels.

    Args:
        student: whose LLM is asked.
        batch: samples with responses.

    Returns:
        float64 [batch], in nats, and int64 [batch], how many labels each has.
    """
    hidden = student(batch)
    assert hidden.last is not None
    kept = hidden.read.labels != IGNORE
    logits = student.logits(hidden.last[kept]).float()
    values = logits.log_softmax(dim=-1).gather(-1, hidden.read.labels[kept][:, None])[:, 0]
    sums = torch.zeros(len(kept), dtype=torch.float64, device=values.device)
    return sums.index_add(0, kept.nonzero()[:, 0], values.double()), kept.sum(dim=1)
