"""Percentile bootstrap over utterances, for corpus metrics that are a ratio of sums.

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

    Args:
        numerators: float64 [utterances], for example word errors.
        denominators: float64 [utterances], for example reference words.
        samples: resamples drawn.
        seed: of the resampling.

    Returns:
        None where the denominators sum to zero: the metric does not exist.
    """
    total = denominators.sum()
    if total == 0:
        return None
    index = _resample(len(numerators), samples, seed)
    above, below = numerators[index].sum(axis=1), denominators[index].sum(axis=1)
    # A resample can hold only utterances without a denominator: it says nothing.
    ratios = above[below > 0] / below[below > 0]
    return Estimate(float(numerators.sum() / total), *_interval(ratios))


def quantile(values: Floats, q: float, samples: int, seed: int) -> Estimate:
    """Estimate the `q`-quantile (0 to 1) of float64 [utterances]; at least one value."""
    index = _resample(len(values), samples, seed)
    quantiles = np.quantile(values[index], q, axis=1)
    return Estimate(float(np.quantile(values, q)), *_interval(quantiles))


def _resample(n: int, samples: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, n, size=(samples, n))


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
