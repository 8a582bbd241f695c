"""Spans of tokens."""

from collections.abc import Sequence


def holds(tokens: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` stands in `tokens` without a gap; an empty part never does."""
    if not part:
        return False
    return any(tokens[i : i + len(part)] == part for i in range(len(tokens) - len(part) + 1))
