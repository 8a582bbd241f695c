"""Rounds in which several are timed in turns, and what is made of their times."""

from collections.abc import Sequence
from statistics import median
from typing import TypeVar

Item = TypeVar("Item")


def in_turns(items: Sequence[Item], number: int) -> list[Item]:
    """The order of a round: it moves on, so that none always follows another."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def median_ratio(theirs_s: Sequence[float], ours_s: Sequence[float]) -> float:
    """Median over rounds: what slows the whole machine for a while is in both times of a round."""
    return median(theirs / ours for theirs, ours in zip(theirs_s, ours_s, strict=True))
