"""Instruction following as IFEval measures it (arXiv 2311.07911)."""

from collections.abc import Sequence
from typing import Any

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.instruction_checks import follows
from aura_core.evaluation.statistic import Statistic, mean, ratio


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Strict and loose accuracy, of whole prompts and of single instructions.

    An item has `extra["instruction_id_list"]` and, in the same order, `extra["kwargs"]`. Loose
    takes an instruction for followed if any of eight variants of the response does: with or
    without its first line, its last line, and its asterisks.

    Raises:
        AuraError: for an instruction there is no check of, or an item without any.
    """
    strict = [_followed(p, [p.prediction]) for p in predictions]
    loose = [_followed(p, variants(p.prediction)) for p in predictions]
    counts = [len(followed) for followed in strict]
    return {
        "prompt_strict": mean([all(followed) for followed in strict]),
        "prompt_loose": mean([all(followed) for followed in loose]),
        "instruction_strict": ratio([sum(followed) for followed in strict], counts),
        "instruction_loose": ratio([sum(followed) for followed in loose], counts),
    }


def variants(response: str) -> list[str]:
    """The response with and without its first line, its last line, and its asterisks."""
    lines = response.split("\n")
    cut = (lines[1:], lines[:-1], lines[1:-1])
    found = [response, *("\n".join(kept).strip() for kept in cut)]
    return [*found, *(text.replace("*", "") for text in found)]


def _followed(prediction: Prediction, responses: Sequence[str]) -> list[bool]:
    return [
        any(follows(instruction_id, response, arguments) for response in responses)
        for instruction_id, arguments in _instructions(prediction)
    ]


def _instructions(prediction: Prediction) -> list[tuple[str, dict[str, Any]]]:
    ids = prediction.extra.get("instruction_id_list")
    arguments = prediction.extra.get("kwargs")
    if not isinstance(ids, list) or not isinstance(arguments, list) or not ids:
        raise AuraError(f"{prediction.id} has no instruction_id_list and kwargs in its extra")
    if len(ids) != len(arguments):
        raise AuraError(f"{prediction.id}: {len(ids)} instructions, {len(arguments)} kwargs")
    return [
        (str(i), given if isinstance(given, dict) else {})
        for i, given in zip(ids, arguments, strict=True)
    ]
