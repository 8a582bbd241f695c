"""The hidden states an LLM itself has for tokens, after one block: what audio is drawn towards."""

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from aura_core.student.attention import attention_mask, positions
from aura_core.student.batch import Layout, collate
from aura_core.student.handover import TokenStates
from aura_core.student.student import Student

_BATCH = 64
# Keeps the division finite where a channel hardly moves.
_EPSILON = 1e-6
# One character, or one byte as SentencePiece writes it, behind a mark for a space if there is one.
_PIECE = re.compile(r"[\u0120\u2581]?.|<0x[0-9A-F]{2}>")


def spelling_tokens(
    tokenizer: PreTrainedTokenizerBase, transcripts: Sequence[Sequence[int]], limit: int | None
) -> dict[int, int]:
    """Choose the tokens that audio may be spelt with.

    Those of the transcripts come first, then single characters and bytes, which spell any word,
    then the vocabulary in its own order, in which frequent words stand early.

    Args:
        tokenizer: the LLM's.
        transcripts: token ids.
        limit: how many; None: all. Tokens of the transcripts and pieces are always kept.

    Returns:
        {token id: how often it stands in the transcripts}, the most frequent first.
    """
    counts = Counter(token for transcript in transcripts for token in transcript)
    # Put together anew each time it is asked for: once, not once a token of the vocabulary.
    special = set(tokenizer.all_special_ids)
    ordinary = {
        token: number for token, number in tokenizer.get_vocab().items() if number not in special
    }
    pieces = sorted(number for token, number in ordinary.items() if _PIECE.fullmatch(token))
    chosen = dict(counts.most_common())
    chosen |= {number: 0 for number in pieces if number not in chosen}
    for number in sorted(ordinary.values()):
        if limit is not None and len(chosen) >= limit:
            break
        chosen.setdefault(number, 0)
    return chosen


@torch.no_grad()
def token_states(
    student: Student,
    prefix: list[int],
    transcripts: Sequence[Sequence[int]],
    block: int,
    tokens: Sequence[int],
) -> TokenStates:
    """Read `transcripts` (token ids) after the chat `prefix` and average block `block`'s outputs.

    Each state depends on the words before it; the mean over many sentences is what is left
    of the token itself. One of `tokens` that stands in no transcript is read alone.
    """
    said = {token for transcript in transcripts for token in transcript}
    row = {token: number for number, token in enumerate(tokens)}
    width, device = int(student.decoder.config.hidden_size), student.device
    sums, counts = (torch.zeros(len(tokens), n, device=device) for n in (width, 1))
    squares = torch.zeros(width, device=device)

    def read(texts: Sequence[Sequence[int]]) -> None:
        for start in range(0, len(texts), _BATCH):
            chunk = texts[start : start + _BATCH]
            states = _states(student, prefix, chunk, block)
            index = torch.tensor([row[t] for text in chunk for t in text], device=device)
            sums.index_add_(0, index, states)
            counts.index_add_(0, index, torch.ones(len(index), 1, device=device))
            squares.add_(states.square().sum(dim=0))

    # Where nothing is said there is no state of a token.
    read(sorted(filter(None, transcripts), key=len))
    # How states spread is that of sentences.
    mean = sums.sum(dim=0) / counts.sum()
    std = (squares / counts.sum() - mean.square()).clamp(min=_EPSILON).sqrt()
    read([[token] for token in tokens if token not in said])
    return TokenStates(tokens, sums / counts, mean, std)


def _states(
    student: Student, prefix: list[int], texts: Sequence[Sequence[int]], block: int
) -> Tensor:
    """The states after `block` of all texts' tokens, one after another: float32 [tokens, width]."""
    batch = collate([Layout(prefix, 0, list(text), []) for text in texts]).to(student.device)
    states, _ = student.run(
        student.embed_tokens(batch.input_ids),
        range(block),
        is_audio=batch.is_audio,
        mask=attention_mask(batch.branch, batch.is_audio, 1),
        position_ids=positions(batch.branch),
    )
    return torch.cat(
        [s[len(prefix) : len(prefix) + len(t)] for s, t in zip(states, texts, strict=True)]
    ).float()
