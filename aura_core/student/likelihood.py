"""How likely a student's LLM finds given responses."""

from collections.abc import Sequence

import torch
from torch import Tensor

from aura_core.student.batch import IGNORE, Batch, Layout, collate
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


@torch.inference_mode()
def top_logprobs(
    student: Student, layouts: Sequence[Layout], top_k: int
) -> list[tuple[Tensor, Tensor]]:
    """What is likeliest at every token of every response.

    Returns:
        The `top_k` token ids and their log-probabilities of each response in turn, on the CPU:
        int64 and float32 [tokens, top_k]. None at all for a `top_k` of 0.
    """
    if not top_k:
        return []
    batch = collate(layouts).to(next(student.parameters()).device)
    states = student(batch).last[batch.labels != IGNORE]
    values, ids = student.logits(states).float().log_softmax(dim=-1).topk(top_k, dim=-1)
    lengths = [len(answer.response) for layout in layouts for answer in layout.continuations]
    return list(
        zip(torch.split(ids.cpu(), lengths), torch.split(values.cpu(), lengths), strict=True)
    )
