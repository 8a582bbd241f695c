"""Percentile bootstrap over utterances (and seeds of training), for ratios of sums.

Every model is resampled with the same seed, hence over the same utterances.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


def ratio(numerators: Floats, denominators: Floats, samples: int, seed: int) -> Estimate | None:
    """Estimate `sum(numerators) / sum(denominators)`.

    Several seeds are resampled as well as the utterances, which they have in common. Few seeds
    make too narrow an interval: look at the figures of each beside it.

    Args:
        numerators: float64 [utterances] or [seeds, utterances], for example word errors.
        denominators: alike, for example reference words.
        samples: resamples drawn.
        seed: of the resampling.

    Returns:
        None where the denominators sum to zero: the metric does not exist.
    """
    numerators, denominators = np.atleast_2d(numerators), np.atleast_2d(denominators)
    total = denominators.sum()
    if total == 0:
        return None
    seeds, utterances = numerators.shape
    draws = np.random.default_rng(seed)
    # Counts instead of indices: [samples, seeds] and [samples, utterances].
    drawn = _counts(draws, utterances, samples)
    by_seed = _counts(draws, seeds, samples)
    above, below = (
        ((drawn @ values.T) * by_seed).sum(axis=1) for values in (numerators, denominators)
    )
    # A resample can hold only utterances without a denominator: it says nothing.
    ratios = above[below > 0] / below[below > 0]
    return Estimate(float(numerators.sum() / total), *_interval(ratios))


def quantile(values: Floats, q: float, samples: int, seed: int) -> Estimate:
    """Estimate the `q`-quantile (0 to 1) of float64 [utterances]; at least one value."""
    index = np.random.default_rng(seed).integers(0, len(values), size=(samples, len(values)))
    quantiles = np.quantile(values[index], q, axis=1)
    return Estimate(float(np.quantile(values, q)), *_interval(quantiles))


def _counts(draws: np.random.Generator, n: int, samples: int) -> Floats:
    """How often each of `n` is drawn when `n` are: float64 [samples, n]."""
    index = draws.integers(0, n, size=(samples, n))
    counts = np.zeros((samples, n))
    np.add.at(counts, (np.arange(samples)[:, None], index), 1.0)
    return counts


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
