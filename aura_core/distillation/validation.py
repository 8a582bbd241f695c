"""Clips that are kept out of training, to see whether it still helps."""

import random
from collections.abc import Sequence


def split_off(count: int, held_out: int, seed: int) -> tuple[list[int], list[int]]:
    """Draw `held_out` of the indices below `count`; return the rest and them, ascending."""
    drawn = set(random.Random(f"validation/{seed}").sample(range(count), held_out))
    return [i for i in range(count) if i not in drawn], sorted(drawn)


def has_stalled(losses: Sequence[float], patience: int | None) -> bool:
    """Whether none of the last `patience` losses was lower than every one before; None: never."""
    if patience is None or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])
