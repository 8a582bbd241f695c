"""Which positions of a padded batch are real."""

import torch
from torch import Tensor


def valid_positions(lengths: Tensor, size: int) -> Tensor:
    """Return bool [batch, size], True at the first `lengths` (int64 [batch]) positions of each."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]
