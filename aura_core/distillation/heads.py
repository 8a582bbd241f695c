"""Training-only readouts of student blocks; none of them is exported."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


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
