"""Which utterances make which batch: a pure function of lengths, seed and step."""

import random
from collections.abc import Iterator, Sequence

# Batches are cut from windows this many batches wide, sorted by length inside.
_WINDOW_BATCHES = 16


def epoch_batches(
    lengths: Sequence[float], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Return one epoch of batches of similar length; every index occurs exactly once."""
    rng = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    window = batch_size * _WINDOW_BATCHES
    batches = []
    for start in range(0, len(order), window):
        indices = sorted(order[start : start + window], key=lambda i: (lengths[i], i))
        batches += [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    rng.shuffle(batches)
    return batches


def endless_batches(
    lengths: Sequence[float], batch_size: int, seed: int, skip: int = 0
) -> Iterator[list[int]]:
    """Yield batches epoch after epoch, starting after the first `skip` batches."""
    per_epoch = -(-len(lengths) // batch_size)
    epoch, offset = divmod(skip, per_epoch)
    while True:
        yield from epoch_batches(lengths, batch_size, seed, epoch)[offset:]
        epoch, offset = epoch + 1, 0
