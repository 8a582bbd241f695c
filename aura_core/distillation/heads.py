"""Training-only readouts of student blocks; none of them is exported."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from aura_core.distillation.token_states import TokenStates

_FIRST_SCALE = 0.04


class DistillationHead(nn.Module):
    """RMSNorm and a linear map from a block's output to the (grouped) teacher state."""

    def __init__(self, llm_width: int, target_width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(llm_width)
        self.project = nn.Linear(llm_width, target_width)

    def forward(self, states: Tensor) -> Tensor:
        """[batch, positions, llm_width] -> [batch, positions, target_width]."""
        return torch.as_tensor(self.project(self.norm(states)))


class CtcHead(nn.Module):
    """CTC over the states the LLM itself has, after the same block, for the transcripts' tokens.

    It draws audio positions towards the states of the words being said, in order (Graves
    et al., "Connectionist Temporal Classification", 2006), so that the blocks above find
    there what they know from text. Class 0 is the blank.
    """

    def __init__(self, tokens: TokenStates) -> None:
        super().__init__()
        self.tokens = tokens
        self.classes = {token: number for number, token in enumerate(tokens.ids, start=1)}
        # The dot product of two standardised states is long: at scale 1 it would be far too sure.
        self.scale = nn.Parameter(torch.tensor(_FIRST_SCALE))
        self.bias = nn.Parameter(torch.zeros(1 + len(tokens.ids)))
        self.blank = nn.Linear(tokens.mean.numel(), 1)

    def logits(self, states: Tensor) -> Tensor:
        """[batch, positions, width] -> [batch, positions, 1 + tokens], the blank first."""
        standardised = self.tokens.standardise(states)
        scores = [self.blank(standardised), self.scale * (standardised @ self.tokens.rows.T)]
        return torch.cat(scores, dim=-1).float() + self.bias

    def forward(
        self, states: Tensor, num_positions: Tensor, transcripts: Sequence[Sequence[int]]
    ) -> Tensor:
        """Mean CTC loss per transcript token.

        Args:
            states: float [batch, positions, width].
            num_positions: int64 [batch], the valid audio positions.
            transcripts: token ids of each clip; one too long for its positions counts as zero.
        """
        targets = [torch.tensor([self.classes[t] for t in ids]) for ids in transcripts]
        return functional.ctc_loss(
            self.logits(states).log_softmax(dim=-1).transpose(0, 1),
            pad_sequence(targets, batch_first=True).to(states.device),
            num_positions,
            torch.tensor([len(ids) for ids in transcripts]),
            zero_infinity=True,
        )

    def spell(self, states: Tensor, num_positions: Tensor) -> list[list[int]]:
        """Greedy reading of states [batch, positions, width]: token ids, repeats merged."""
        best = self.logits(states).argmax(dim=-1)
        return [
            [self.tokens.ids[number - 1] for number, _ in groupby(row[:length].tolist()) if number]
            for row, length in zip(best, num_positions.tolist(), strict=True)
        ]


def distillation_heads(
    layer_map: Mapping[int, int], llm_width: int, target_width: int
) -> nn.ModuleDict:
    """One head per mapped block, keyed by the block's number."""
    return nn.ModuleDict(
        {str(block): DistillationHead(llm_width, target_width) for block in layer_map}
    )
