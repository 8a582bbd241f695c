"""Accuracy of answers that first have to be found in what a model wrote."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aura_core.evaluation.statistic import Statistic, mean


@dataclass(frozen=True)
class Parsed:
    """One item: what was asked for, what was found, and what could have been."""

    id: str
    expected: str
    found: str | None
    options: tuple[str, ...]


def accuracies(items: Sequence[Parsed]) -> dict[str, Statistic]:
    """`acc` (unparsed is wrong), `acc_random_fallback` and `parse_fail`.

    The fallback draws an option for an unparsed answer, as VoiceBench's public scorer does
    (arXiv 2410.17196), but seeded by the item's id: the same item always draws the same one.
    """
    return {
        "acc": mean([item.found == item.expected for item in items]),
        "acc_random_fallback": mean(
            [(item.found or _draw(item)) == item.expected for item in items]
        ),
        "parse_fail": mean([item.found is None for item in items]),
    }


def _draw(item: Parsed) -> str:
    return random.Random(item.id).choice(sorted(item.options))
