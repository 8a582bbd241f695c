"""How alike two sets of states are, and which layers of two models are most alike."""

from collections.abc import Sequence

import torch
from torch import Tensor

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
