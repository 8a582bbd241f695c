"""Distances: student states and teacher states, and the answers' tokens and logits."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from aura_core.distillation.similarity import linear_cka


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of float [tokens, vocabulary] and int64 [tokens], by `weights`.

    Zero where nothing is to be said.
    """
    if not len(labels):
        return logits.sum()
    if weights is None:
        return functional.cross_entropy(logits, labels)
    return _weighted_mean(functional.cross_entropy(logits, labels, reduction="none"), weights)


def kl_to_top(
    logits: Tensor, top_ids: Tensor, top_logprobs: Tensor, weights: Tensor | None
) -> Tensor:
    """Mean KL divergence of the student from the text LLM, whose tail is left out.

    The text LLM's probabilities are scaled to sum to one over its likeliest tokens; the
    student's are those over its whole vocabulary.

    Args:
        logits: the student's, float [tokens, vocabulary].
        top_ids: the text LLM's likeliest tokens, int64 [tokens, top_k].
        top_logprobs: their log-probabilities, float [tokens, top_k].
        weights: float [tokens], or None.
    """
    wanted = top_logprobs.log_softmax(dim=-1)
    found = logits.log_softmax(dim=-1).gather(-1, top_ids)
    divergence = (wanted.exp() * (wanted - found)).sum(dim=-1)
    return _weighted_mean(divergence, torch.ones_like(divergence) if weights is None else weights)


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def cosine_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over positions of 1 - cosine similarity.

    Args:
        predicted: float [batch, positions, width].
        target: the teacher's, of the same shape.
        weight: of the same shape, 1 where the target is real and 0 elsewhere. A position
            without any real value does not count.
    """
    similarity = functional.cosine_similarity(predicted * weight, target * weight, dim=-1)
    real = weight.amax(dim=-1)
    return ((1 - similarity) * real).sum() / real.sum().clamp(min=1)


def mse_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error over real values; shapes as in `cosine_loss`."""
    return ((predicted - target).square() * weight).sum() / weight.sum().clamp(min=1)


def smooth_l1_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean smooth L1 (Huber, beta 1) over real values; shapes as in `cosine_loss`."""
    error = functional.smooth_l1_loss(predicted, target, reduction="none")
    return (error * weight).sum() / weight.sum().clamp(min=1)


def cka_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - linear CKA over all positions of the batch with a real value.

    Kornblith et al., "Similarity of Neural Network Representations Revisited" (2019): blind to
    rotation and scale, so that both sides may differ in width. Else shapes as in `cosine_loss`.
    """
    real = weight.amax(dim=-1) > 0
    return 1 - linear_cka(predicted[real], (target * weight)[real])


def moment_loss(states: Tensor, valid: Tensor) -> Tensor:
    """Squared distance of each channel's mean and standard deviation from 0 and 1, averaged.

    Args:
        states: float [batch, positions, width], standardised by what they should look like.
        valid: bool [batch, positions].
    """
    std, mean = torch.std_mean(states[valid], dim=0)
    return (mean.square() + (std - 1).square()).mean()


@dataclass(frozen=True)
class DistillationLoss:
    """A distance between student and teacher states, and how training treats it.

    Attributes:
        function: from (predicted, target, weight), as `cosine_loss` takes them, to a scalar.
        is_mean_of_values: a mean over real values, not over positions; workers and micro-batches
            are weighted by what it is a mean over.
        has_heads: predictions are those of a trained head; else the student's states as they are.
    """

    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    is_mean_of_values: bool = False
    has_heads: bool = True


# Every value of `distillation.loss`.
LOSSES: dict[str, DistillationLoss] = {
    "cosine": DistillationLoss(cosine_loss),
    "mse": DistillationLoss(mse_loss, is_mean_of_values=True),
    "smooth_l1": DistillationLoss(smooth_l1_loss, is_mean_of_values=True),
    "cka": DistillationLoss(cka_loss, has_heads=False),
}
