"""Handing audio over inside the LLM: after its lower blocks, as states it knows from text.

Not the paper's: there audio positions stay in the sequence through all blocks, as far as is known.
Here the adapted blocks hear a clip alone. Successive positions with one CTC label then become one
slot, and blanks go, so that the blocks above see about as many slots as a transcript has tokens.
Compressing by CTC is known from speech translation (Gaido et al., "CTC-based Compression for Direct
Speech Translation", 2021) and from LLMs behind an encoder (Wu et al., "On decoder-only architecture
for speech-to-text and large language model integration", 2023).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from aura_core.frames import valid_positions

BLANK = 0
_FIRST_SCALE = 0.04
# Probabilities to this power: what CTC is nearly sure of becomes the state of one token.
_SHARPNESS = 2.0
_TINY = 1e-6
# Of speech, at 12.5 positions a second.
_POSITIONS_A_TOKEN = 4


class TokenStates(nn.Module):
    """The mean state an LLM has for each token after one block, and how all its states spread.

    Attributes:
        ids: token ids, one a row: int64 [tokens].
        rows: float32 [tokens, width], standardised.
        mean, std: float32 [width], of all the states.
    """

    ids: Tensor
    rows: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, ids: Sequence[int], means: Tensor, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("ids", torch.tensor(list(ids), dtype=torch.long))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("rows", self.standardise(means))

    def standardise(self, states: Tensor) -> Tensor:
        """States [..., width] in units of `std` from `mean`, per channel."""
        return (states - self.mean) / self.std

    def restored(self, standardised: Tensor) -> Tensor:
        """The other way round: states [..., width] as the LLM has them."""
        return standardised * self.std + self.mean


class CtcHead(nn.Module):
    """CTC over the states the LLM itself has, after the same block, for the transcripts' tokens.

    It draws audio positions towards the states of the words being said, in order (Graves
    et al., "Connectionist Temporal Classification", 2006), so that the blocks above find
    there what they know from text. Class 0 is the blank.

    Args:
        tokens: what it may spell, one class each.
        counts: how often each stands in the transcripts; None: not known.
    """

    def __init__(self, tokens: TokenStates, counts: Sequence[int] | None = None) -> None:
        super().__init__()
        self.tokens = tokens
        self.ids: list[int] = tokens.ids.tolist()
        self.classes = {token: number for number, token in enumerate(self.ids, start=1)}
        # The dot product of two standardised states is long: at scale 1 it would be far too sure.
        self.scale = nn.Parameter(torch.tensor(_FIRST_SCALE))
        self.bias = nn.Parameter(torch.zeros(1 + len(self.ids)))
        if counts is not None:
            # So that a token is as likely at first as it is frequent, a blank as all together.
            frequent = torch.tensor([sum(counts), *counts], dtype=torch.float32) + 1
            self.bias.data = (frequent / frequent.sum()).log()
        self.blank = nn.Linear(tokens.mean.numel(), 1)

    def logits(self, states: Tensor) -> Tensor:
        """[batch, positions, width] -> [batch, positions, 1 + tokens], the blank first."""
        standardised = self.tokens.standardise(states)
        scores = [self.blank(standardised), self.scale * (standardised @ self.tokens.rows.T)]
        return torch.cat(scores, dim=-1).float() + self.bias

    def forward(
        self, states: Tensor, num_positions: Tensor, transcripts: Sequence[Sequence[int]]
    ) -> Tensor:
        """Mean over clips of the CTC loss per transcript token.

        Args:
            states: float [batch, positions, width].
            num_positions: int64 [batch], the valid audio positions.
            transcripts: token ids of each clip; one too long for its positions counts as zero.
                A clip without any is weighed as speech of its length: its loss is divided by
                about as many tokens as would fill it.
        """
        targets = [
            torch.tensor([self.classes[t] for t in ids], dtype=torch.long) for ids in transcripts
        ]
        lengths = torch.tensor([len(ids) for ids in transcripts], device=states.device)
        losses = functional.ctc_loss(
            self.logits(states).log_softmax(dim=-1).transpose(0, 1),
            pad_sequence(targets, batch_first=True).to(states.device),
            num_positions,
            lengths,
            reduction="none",
            zero_infinity=True,
        )
        filling = (num_positions / _POSITIONS_A_TOKEN).clamp(min=1)
        return (losses / torch.where(lengths > 0, lengths, filling)).mean()

    def ctc_decode(self, states: Tensor, num_positions: Tensor) -> list[list[int]]:
        """Greedy reading of states [batch, positions, width]: token ids, repeats merged."""
        best = self.logits(states).argmax(dim=-1)
        return [
            [self.ids[number - 1] for number, _ in groupby(row[:length].tolist()) if number]
            for row, length in zip(best, num_positions.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Slots:
    """What stands for clips above the adapted blocks.

    Attributes:
        states: float32 [clips, slots, width], zero where a clip has fewer than the longest.
        counts: int64 [clips], at least 1 where anything is heard.
        starts: int64 [clips, slots], the audio position each begins at.
    """

    states: Tensor
    counts: Tensor
    starts: Tensor

    @property
    def flat(self) -> Tensor:
        """The slots of all clips, one after another: [all slots, width]."""
        return self.states[valid_positions(self.counts, self.states.shape[1])]


class CtcHandover(nn.Module):
    """Makes slots of the audio states after the last adapted block.

    A slot is the expectation over the LLM's own token states, by CTC's sharpened probabilities,
    and a learnt residual of the audio states it spans, which starts at zero: at first the LLM
    reads what it knows, and what is not in the words can come through later. A clip without any
    word becomes one slot, which starts as the state of a line break.

    Args:
        head: the CTC head, trained with the student.
        block: 1-based, the last adapted one.
        prefix: token ids that a clip is heard after, those of the chat's first turn.
        silence: token id whose state a clip without words starts from; it has a row.
    """

    prefix: Tensor

    def __init__(self, head: CtcHead, block: int, prefix: Sequence[int], silence: int) -> None:
        super().__init__()
        self.head = head
        self.block = block
        width = head.tokens.mean.numel()
        self.residual = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.residual.weight)
        self.silence = nn.Parameter(head.tokens.rows[head.classes[silence] - 1].clone())
        self.register_buffer("prefix", torch.tensor(list(prefix), dtype=torch.long))

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor], block: int) -> "CtcHandover":
        """Rebuild one from its `state_dict`."""
        ids, width = weights["head.tokens.ids"].tolist(), weights["silence"].numel()
        tokens = TokenStates(
            ids, torch.zeros(len(ids), width), torch.zeros(width), torch.ones(width)
        )
        made = cls(CtcHead(tokens), block, weights["prefix"].tolist(), ids[0])
        made.load_state_dict(weights)
        return made

    def forward(self, states: Tensor, num_positions: Tensor) -> Slots:
        """Audio states float [clips, positions, width], valid int64 [clips], to slots."""
        states = functional.pad(states, (0, 0, 0, int(states.shape[1] == 0)))
        tokens = self.head.tokens
        logits = self.head.logits(states)
        labels = logits.argmax(dim=-1)
        valid = valid_positions(num_positions, states.shape[1])
        said = valid & (labels != BLANK)
        starts = said & (labels != functional.pad(labels, (1, 0), value=BLANK)[:, :-1])
        counts = starts.sum(dim=1)
        number = starts.cumsum(dim=1) - 1
        most = max(1, *counts.tolist())
        index = torch.arange(most, device=states.device)
        spans = said[:, None] & (number[:, None] == index[:, None])  # [clips, slots, positions]
        probabilities = logits.softmax(dim=-1)
        own = probabilities.gather(-1, labels[:, :, None])[:, :, 0]
        weights = spans * own[:, None]
        weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=_TINY)
        likely = (weights @ probabilities[:, :, 1:]).clamp(min=_TINY) ** _SHARPNESS
        likely = likely / likely.sum(dim=-1, keepdim=True)
        heard = weights @ tokens.standardise(states)
        slots = likely @ tokens.rows + self.residual(heard).float()
        empty = counts == 0
        slots = torch.where(empty[:, None, None], self.silence, slots)
        counts = torch.where(empty, (num_positions > 0).long(), counts)
        kept = valid_positions(counts, most)[:, :, None]
        return Slots(
            torch.where(kept, tokens.restored(slots), 0.0), counts, spans.int().argmax(dim=-1)
        )
