"""What an LLM makes of text: before training, after its text LoRA, and as the LLM of a student."""

import json
from collections.abc import Callable, Sequence

from aura_core.benchmarks.benchmark import Reading
from aura_core.evaluation.items import Item
from aura_core.student.inference import Responder
from aura_core.student.prompts import Prompt

_BATCH_ITEMS = 8


def read(llm: Responder, reading: Reading, items: Sequence[Item], max_new_tokens: int) -> list[str]:
    """Answer texts as their benchmark asks for it; answers keep the items' order.

    Returns:
        For each item an answer, the likeliest letter of its choices, or the summed negative log
        likelihood of its text after the first token with the number of these tokens:
        `{"nats": 412.5, "tokens": 96}`.
    """
    return [
        answer
        for start in range(0, len(items), _BATCH_ITEMS)
        for answer in READINGS[reading](llm, items[start : start + _BATCH_ITEMS], max_new_tokens)
    ]


def _answer(llm: Responder, items: Sequence[Item], max_new_tokens: int) -> list[str]:
    return llm.generate([_prompt(item) for item in items], max_new_tokens)


def _choose(llm: Responder, items: Sequence[Item], _max_new_tokens: int) -> list[str]:
    pairs = [(item, letter) for item in items for letter in item.choices or {}]
    found = llm.log_likelihoods([(_prompt(item), letter) for item, letter in pairs])
    likeliest: dict[str, tuple[float, str]] = {}
    for (item, letter), value in zip(pairs, found, strict=True):
        likeliest[item.id] = max(likeliest.get(item.id, (-float("inf"), "")), (value, letter))
    return [likeliest[item.id][1] for item in items]


def _perplexity(llm: Responder, items: Sequence[Item], _max_new_tokens: int) -> list[str]:
    found = llm.text_log_likelihoods([item.text for item in items])
    return [json.dumps({"nats": -value, "tokens": tokens}) for value, tokens in found]


def _prompt(item: Item) -> Prompt:
    return Prompt(item.instruction, text=item.text)


READINGS: dict[Reading, Callable[[Responder, Sequence[Item], int], list[str]]] = {
    "answer": _answer,
    "choose": _choose,
    "perplexity": _perplexity,
}
