"""Greedy decoding after a prompt whose audio positions see each other both ways."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from aura_core.student.attention import PADDING, attention_mask, positions
from aura_core.student.batch import Batch
from aura_core.student.student import Student


@torch.inference_mode()
def decode_greedy(
    student: Student, batch: Batch, *, end_ids: Sequence[int], max_new_tokens: int
) -> list[list[int]]:
    """Return the generated ids of each sample, without the end token.

    Args:
        batch: prompts, each with one continuation whose response is empty.
        end_ids: tokens that end an answer.
        max_new_tokens: the longest answer.
    """
    answers: list[list[int]] = [[] for _ in batch.input_ids]
    stop = torch.tensor(end_ids, device=batch.input_ids.device)
    finished = torch.zeros(len(answers), dtype=torch.bool, device=stop.device)
    for token in stream_greedy(student, batch, max_new_tokens=max_new_tokens):
        finished = finished | torch.isin(token, stop)
        for answer, value, done in zip(answers, token.tolist(), finished.tolist(), strict=True):
            if not done:
                answer.append(value)
        if finished.all():
            break
    return answers


@torch.inference_mode()
def stream_greedy(
    student: Student, batch: Batch, *, max_new_tokens: int, cache: DynamicCache | None = None
) -> Iterator[Tensor]:
    """Yield the next token of every sample, int64 [batch], as soon as it is known.

    Transformers' own `generate` builds a causal mask from a 2-D one and so cannot keep
    the audio bidirectional; a sample's answer does not depend on its batch.

    Args:
        batch: as for `decode_greedy`.
        max_new_tokens: how many tokens, an end token or not.
        cache: an empty one of the caller's, who can then see what the LLM keeps.
    """
    if cache is None:
        cache = DynamicCache(config=student.causal_lm.config)
    valid = batch.branch != PADDING
    length = valid.sum(dim=1)
    states = _prefill(student, batch, cache)
    # Logits of the last positions alone: at all of them they would cost more than a block.
    last = states[torch.arange(len(length)), length - 1]
    yield from continue_greedy(student, last, valid, cache, max_new_tokens)


@torch.inference_mode()
def continue_greedy(
    student: Student, last: Tensor, valid: Tensor, cache: DynamicCache, max_new_tokens: int
) -> Iterator[Tensor]:
    """Yield the tokens after prompts that are in the cache, int64 [batch].

    Args:
        last: state of each prompt's last position, [batch, width].
        valid: bool [batch, length], which positions of the cache are the prompt's.
        cache: keys and values of `length` positions; those of the answer are added.
        max_new_tokens: how many tokens, an end token or not.
    """
    length = valid.sum(dim=1)
    for step in range(max_new_tokens):
        token = student.logits(last).argmax(dim=-1)
        yield token
        if step == max_new_tokens - 1:
            break
        valid = torch.cat([valid, torch.ones_like(valid[:, :1])], dim=1)
        output = student.decode(
            student.decoder.embed_tokens(token[:, None]),
            None,
            attention_mask=valid[:, None, None],
            position_ids=(length + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        last = output.last_hidden_state[:, -1]


def _prefill(student: Student, batch: Batch, cache: DynamicCache) -> Tensor:
    mask = attention_mask(batch.branch, batch.is_audio, student.chunk_positions)
    output = student.decode(
        student.embed(batch),
        batch.is_audio,
        attention_mask=mask,
        position_ids=positions(batch.branch),
        past_key_values=cache,
        use_cache=True,
    )
    states: Tensor = output.last_hidden_state
    return states
