"""Distances between student states and teacher states, masked to valid positions."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from aura_core.distillation.similarity import linear_cka


def cosine_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over positions of 1 - cosine similarity.

    Args:
        predicted, target, weight: float [batch, positions, width]; `weight` is 1 where the
            target is real. A position without any real value does not count.
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


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cosine": cosine_loss,
    "mse": mse_loss,
    "smooth_l1": smooth_l1_loss,
    "cka": cka_loss,
}
