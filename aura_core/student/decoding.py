"""Greedy decoding and likelihoods, where the audio of a prompt is seen both ways."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from aura_core.student.batch import IGNORE, Batch, Layout, collate
from aura_core.student.student import Prefilled, Student


@torch.inference_mode()
def decode_greedy(
    student: Student, batch: Batch, *, end_ids: Sequence[int], max_new_tokens: int
) -> list[list[int]]:
    """Return the generated ids of each sample, without the end token.

    A sample that has ended leaves the batch.

    Args:
        batch: prompts, each with one continuation whose response is empty.
        end_ids: tokens that end an answer.
        max_new_tokens: the longest answer.
    """
    answers: list[list[int]] = [[] for _ in batch.input_ids]
    stop = torch.tensor(end_ids, device=batch.input_ids.device)
    cache = DynamicCache(config=student.causal_lm.config)
    prefilled = student.prefill(batch, cache)
    unfinished = torch.arange(len(answers), device=stop.device)
    for step in range(max_new_tokens):
        token = student.logits(prefilled.last).argmax(dim=-1)
        going_on = (~torch.isin(token, stop)).nonzero()[:, 0]
        if len(going_on) < len(unfinished):
            unfinished, token = unfinished[going_on], token[going_on]
            prefilled = prefilled.only(going_on)
            cache.batch_select_indices(going_on)
        for sample, value in zip(unfinished.tolist(), token.tolist(), strict=True):
            answers[sample].append(value)
        if not len(unfinished) or step == max_new_tokens - 1:
            break
        prefilled = student.go_on(prefilled, token, cache)
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
    yield from continue_greedy(student, student.prefill(batch, cache), cache, max_new_tokens)


@torch.inference_mode()
def continue_greedy(
    student: Student, prefilled: Prefilled, cache: DynamicCache, max_new_tokens: int
) -> Iterator[Tensor]:
    """Yield the tokens after prompts that are in the cache, int64 [batch].

    Args:
        prefilled: what is in the cache; those of the answer are added to it.
        cache: its keys and values.
        max_new_tokens: how many tokens, an end token or not.
    """
    for step in range(max_new_tokens):
        # Logits of the last positions alone: at all of them they would cost more than a block.
        token = student.logits(prefilled.last).argmax(dim=-1)
        yield token
        if step == max_new_tokens - 1:
            break
        prefilled = student.go_on(prefilled, token, cache)


# How likely a student's LLM finds given responses.


@torch.inference_mode()
def log_likelihoods(student: Student, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sum up the log probabilities of each sample's labels.

    Args:
        student: whose LLM is asked.
        batch: samples with responses.

    Returns:
        float64 [batch], in nats, and int64 [batch], how many labels each has.
    """
    hidden = student(batch)
    assert hidden.last is not None
    kept = hidden.read.labels != IGNORE
    logits = student.logits(hidden.last[kept]).float()
    values = logits.log_softmax(dim=-1).gather(-1, hidden.read.labels[kept][:, None])[:, 0]
    sums = torch.zeros(len(kept), dtype=torch.float64, device=values.device)
    return sums.index_add(0, kept.nonzero()[:, 0], values.double()), kept.sum(dim=1)


@torch.inference_mode()
def top_logprobs(
    student: Student, layouts: Sequence[Layout], top_k: int
) -> list[tuple[Tensor, Tensor]]:
    """What is likeliest at every token of every response.

    Returns:
        The `top_k` token ids and their log-probabilities of each response in turn, on the CPU:
        int64 and float32 [tokens, top_k]. None at all for a `top_k` of 0.
    """
    if not top_k:
        return []
    batch = collate(layouts).to(next(student.parameters()).device)
    states = student(batch).last[batch.labels != IGNORE]
    values, ids = student.logits(states).float().log_softmax(dim=-1).topk(top_k, dim=-1)
    lengths = [len(answer.response) for layout in layouts for answer in layout.continuations]
    return list(
        zip(torch.split(ids.cpu(), lengths), torch.split(values.cpu(), lengths), strict=True)
    )
