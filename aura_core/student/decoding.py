"""Greedy decoding after a prompt whose audio positions see each other both ways."""

from collections.abc import Sequence

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

    Transformers' own `generate` builds a causal mask from a 2-D one and so cannot keep
    the audio bidirectional; a sample's answer does not depend on its batch.

    Args:
        batch: prompts, each with one continuation whose response is empty.
        end_ids: tokens that end an answer.
        max_new_tokens: the longest answer.
    """
    cache = DynamicCache(config=student.causal_lm.config)
    valid = batch.branch != PADDING
    length = valid.sum(dim=1)
    states = _prefill(student, batch, cache)
    last = states[torch.arange(len(length)), length - 1]
    stop = torch.tensor(end_ids, device=last.device)
    answers: list[list[int]] = [[] for _ in length]
    finished = torch.zeros(len(length), dtype=torch.bool, device=last.device)
    for step in range(max_new_tokens):
        token = student.logits(last).argmax(dim=-1)
        finished = finished | torch.isin(token, stop)
        for answer, value, done in zip(answers, token.tolist(), finished.tolist(), strict=True):
            if not done:
                answer.append(value)
        if finished.all() or step == max_new_tokens - 1:
            break
        valid = torch.cat([valid, torch.ones_like(valid[:, :1])], dim=1)
        output = student.decode(
            student.decoder.embed_tokens(token[:, None]),
            torch.zeros_like(token[:, None], dtype=torch.bool),
            attention_mask=valid[:, None, None],
            position_ids=(length + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        last = output.last_hidden_state[:, -1]
    return answers


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
