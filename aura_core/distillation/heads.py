"""Training-only readouts of student blocks; none of them is exported."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

_FIRST_SCALE = 0.5


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
    """CTC over the LLM's own token embeddings, limited to the tokens of the transcripts.

    It draws audio positions towards the embeddings of the words being said, in
    order (Graves et al., "Connectionist Temporal Classification", 2006). Class 0 is
    the blank.
    """

    embeddings: Tensor

    def __init__(self, token_embeddings: Tensor, token_ids: Sequence[int]) -> None:
        super().__init__()
        width = token_embeddings.shape[1]
        self.classes = {token: number for number, token in enumerate(token_ids, start=1)}
        self.norm = nn.RMSNorm(width)
        # Token embeddings are long: at scale 1 the first logits would be far too sure.
        nn.init.constant_(self.norm.weight, _FIRST_SCALE)
        self.blank = nn.Linear(width, 1)
        self.register_buffer("embeddings", token_embeddings[list(token_ids)].clone())

    def forward(
        self, states: Tensor, num_positions: Tensor, transcripts: Sequence[Sequence[int]]
    ) -> Tensor:
        """Mean CTC loss per transcript token.

        Args:
            states: float [batch, positions, width].
            num_positions: int64 [batch], the valid audio positions.
            transcripts: token ids of each clip; one too long for its positions counts as zero.
        """
        normed = self.norm(states)
        logits = torch.cat([self.blank(normed), normed @ self.embeddings.T], dim=-1)
        targets = [torch.tensor([self.classes[t] for t in ids]) for ids in transcripts]
        return functional.ctc_loss(
            logits.float().log_softmax(dim=-1).transpose(0, 1),
            pad_sequence(targets, batch_first=True).to(states.device),
            num_positions,
            torch.tensor([len(ids) for ids in transcripts]),
            zero_infinity=True,
        )


def distillation_heads(
    layer_map: Mapping[int, int], llm_width: int, target_width: int
) -> nn.ModuleDict:
    """One head per mapped block, keyed by the block's number."""
    return nn.ModuleDict(
        {str(block): DistillationHead(llm_width, target_width) for block in layer_map}
    )
