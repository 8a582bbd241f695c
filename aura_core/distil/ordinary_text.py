"""Ordinary instructions, answered as the LLM answers before it is trained: against forgetting.

A LoRA that is on for text learns to write its task's answers to whatever it is asked. Steps on
what the LLM says to ordinary instructions keep those as they were.
"""

from collections.abc import Sequence

import torch

from aura_core.config.instructions import ordinary_instructions
from aura_core.distil.training_set import TrainBatch
from aura_core.student.batch import Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy, top_logprobs
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.turns import Turn

# The beginning of an answer tells its kind; more of it makes a step longer.
_MAX_TOKENS = 16


class OrdinaryText:
    """Instructions and what `student` says to them now, before any training.

    Args:
        student: answers, greedily.
        chat: the turns around an instruction.
        count: so many of the instructions at most.
        top_k: so many of its likeliest tokens as well, for phases that learn from logits.
    """

    def __init__(self, student: Student, chat: ChatFormat, count: int, top_k: int = 0) -> None:
        chosen = ordinary_instructions()[:count]
        prompts = [chat.conversation([Turn("user", (asked,))])[0] for asked in chosen]
        device = next(student.parameters()).device
        said = decode_greedy(
            student,
            collate([_layout(prompt, []) for prompt in prompts]).to(device),
            end_ids=[chat.end_id],
            max_new_tokens=_MAX_TOKENS,
        )
        ends = [[] if len(answer) == _MAX_TOKENS else [chat.end_id] for answer in said]
        self._layouts = [
            _layout(prompt, answer + end)
            for prompt, answer, end in zip(prompts, said, ends, strict=True)
        ]
        self._top = top_logprobs(student, self._layouts, top_k)

    def assemble(self, numbers: Sequence[int]) -> TrainBatch:
        """A batch of instructions by their numbers; after the last comes the first again."""
        chosen = [number % len(self._layouts) for number in numbers]
        ids = logprobs = None
        if self._top:
            ids, logprobs = (torch.cat([self._top[n][part] for n in chosen]) for part in (0, 1))
        return TrainBatch(
            batch=collate([self._layouts[number] for number in chosen]),
            teacher={},
            num_states=torch.zeros(len(chosen), dtype=torch.long),
            transcripts=[[] for _ in chosen],
            keys=[f"ordinary instruction {number}" for number in chosen],
            top_ids=ids,
            top_logprobs=logprobs,
        )


def _layout(prompt: list[int], response: list[int]) -> Layout:
    return Layout(prompt[:-1], 0, [], [Continuation(prompt[-1:], response)])
