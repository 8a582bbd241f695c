"""The hidden states an LLM itself has for the tokens of the transcripts, after one block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aura_core.student.batch import Layout, collate
from aura_core.student.student import Student

_BATCH = 64
# Keeps the division finite where a channel hardly moves.
_EPSILON = 1e-6


class TokenStates(nn.Module):
    """Mean state of each token, over all the transcripts it occurs in, and how states spread.

    Attributes:
        ids: sorted token ids, one a row.
        rows: float32 [tokens, width], standardised.
        mean, std: float32 [width], of all the states.
    """

    rows: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, ids: list[int], means: Tensor, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.ids = ids
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("rows", self.standardise(means))

    def standardise(self, states: Tensor) -> Tensor:
        """States [..., width] in units of `std` from `mean`, per channel."""
        return (states - self.mean) / self.std


@torch.no_grad()
def token_states(
    student: Student, prefix: list[int], transcripts: Sequence[list[int]], block: int
) -> TokenStates:
    """Read `transcripts` (token ids) after the chat `prefix` and average block `block`'s outputs.

    Each state depends on the words before it; the mean over many sentences is what is left
    of the token itself.
    """
    ids = sorted({token for transcript in transcripts for token in transcript})
    row = {token: number for number, token in enumerate(ids)}
    device = next(student.parameters()).device
    width = int(student.decoder.config.hidden_size)
    sums, counts = torch.zeros(len(ids), width, device=device), torch.zeros(len(ids), device=device)
    squares = torch.zeros(width, device=device)
    ordered = sorted(transcripts, key=len)
    for start in range(0, len(ordered), _BATCH):
        chunk = ordered[start : start + _BATCH]
        batch = collate([Layout(prefix, 0, tokens, []) for tokens in chunk]).to(device)
        hidden = student(batch, blocks=(block,), stop_after=block).blocks[block].float()
        states = torch.cat(
            [h[len(prefix) : len(prefix) + len(t)] for h, t in zip(hidden, chunk, strict=True)]
        )
        index = torch.tensor([row[t] for tokens in chunk for t in tokens], device=device)
        sums.index_add_(0, index, states)
        counts.index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))
        squares += states.square().sum(dim=0)
    mean = sums.sum(dim=0) / counts.sum()
    std = (squares / counts.sum() - mean.square()).clamp(min=_EPSILON).sqrt()
    return TokenStates(ids, sums / counts[:, None], mean, std)
