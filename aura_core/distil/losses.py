"""Losses on hidden states and on answers, the likeness of states, and readouts of blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# How alike two sets of states are, and which layers of two models are most alike.

_EPSILON = 1e-8


def linear_cka(left: Tensor, right: Tensor) -> Tensor:
    """Linear centred kernel alignment, 0 to 1, of two descriptions of the same positions.

    Kornblith et al., "Similarity of Neural Network Representations Revisited" (2019), by way
    of Gram matrices, as there are more channels than positions.

    Args:
        left, right: float [positions, width], each of its own width.
    """
    left, right = (states - states.mean(dim=0) for states in (left.float(), right.float()))
    left_gram, right_gram = left @ left.T, right @ right.T
    shared = (left_gram * right_gram).sum()
    lengths = left_gram.norm() * right_gram.norm()
    return torch.as_tensor(shared / lengths.clamp(min=_EPSILON))


def most_similar_map(similarity: Tensor, layers: Sequence[int]) -> dict[int, int]:
    """Map each layer to a block of its own, in order, so that they are most alike in sum.

    Args:
        similarity: float [blocks, layers].
        layers: the teacher's, ascending, as in the columns; with fewer blocks than layers the
            later ones are mapped.

    Returns:
        {block: layer}, 1-based; the last block has the last layer.
    """
    blocks = len(similarity)
    kept = list(layers)[-blocks:]
    columns = similarity[:, -len(kept) :]
    # best[i, j]: the first i blocks hold the first j layers.
    best = torch.full((blocks + 1, len(kept) + 1), -torch.inf, dtype=torch.float64)
    best[:, 0] = 0
    for i in range(1, blocks + 1):
        for j in range(1, min(i, len(kept)) + 1):
            best[i, j] = torch.maximum(best[i - 1, j], best[i - 1, j - 1] + columns[i - 1, j - 1])
    block, mapped = blocks, {blocks: kept[-1]}
    for j in range(len(kept) - 1, 0, -1):
        block -= 1
        while best[block, j] == best[block - 1, j]:
            block -= 1
        mapped[block] = kept[j - 1]
    return dict(sorted(mapped.items()))


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


# Training-only readouts of student blocks; none of them is exported.


class DistillationHead(nn.Module):
    """RMSNorm and a linear map from a block's output to the (grouped) teacher state."""

    def __init__(self, llm_width: int, target_width: int, *, bias: bool) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(llm_width)
        self.project = nn.Linear(llm_width, target_width, bias=bias)

    def forward(self, states: Tensor) -> Tensor:
        """[batch, positions, llm_width] -> [batch, positions, target_width]."""
        return torch.as_tensor(self.project(self.norm(states)))


def distillation_heads(
    layer_map: Mapping[int, int], llm_width: int, target_width: int, *, bias: bool
) -> nn.ModuleDict:
    """One head per mapped block, keyed by the block's number."""
    return nn.ModuleDict(
        {str(block): DistillationHead(llm_width, target_width, bias=bias) for block in layer_map}
    )
