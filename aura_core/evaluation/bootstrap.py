"""Statistics of utterances, their bootstrap intervals, and when a difference means anything.

Every model is resampled with the same seed, hence over the same utterances.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# From how many utterances on a difference means anything, and how its p-value is written.

# Fewer cannot tell skill from luck: no p-value, no verdict, no badge.
MIN_UTTERANCES = 10
# A difference is called clear below it.
SIGNIFICANCE = 0.05


def p_floor(resamples: int) -> float:
    """The smallest p-value of a bootstrap: two-sided, one added to count and resamples alike."""
    return 2 / (resamples + 1)


def format_p(p_value: float, resamples: int) -> str:
    """Write a p-value: `= 0.012`, or `< 0.002` where so many resamples cannot give a smaller one.

    Args:
        p_value: above 0, up to 1.
        resamples: of the bootstrap that it comes from.
    """
    least = p_floor(resamples)
    # Rounded up to one digit, so that what is written stays true.
    digits = -floor(log10(least))
    if p_value <= least:
        return f"< {ceil(least * 10**digits) / 10**digits:.{digits}f}"
    return f"= {p_value:.{max(3, digits)}f}"


# Metrics as functions of sums over utterances, which is all a bootstrap has to know of them.

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """A metric that only depends on sums over utterances: WER, an accuracy, corpus BLEU.

    Attributes:
        columns: float64 [utterances, k], what each utterance adds to the sums.
        of_sums: from sums, float64 [..., k], to the metric, float64 [...]; NaN where the
            metric does not exist, for example a WER without a reference word.
    """

    columns: Floats
    of_sums: Callable[[Floats], Floats]

    @property
    def value(self) -> float:
        """The metric over all utterances; NaN where it does not exist."""
        return float(self.of_sums(self.columns.sum(axis=0)))

    def select(self, utterances: Sequence[int]) -> "Statistic":
        """The same metric over some of the utterances, named by their positions."""
        return replace(self, columns=self.columns[np.asarray(utterances, dtype=np.intp)])


def ratio(
    numerators: Floats | Sequence[float], denominators: Floats | Sequence[float]
) -> Statistic:
    """`sum(numerators) / sum(denominators)`, both [utterances]: errors and words, for example."""
    columns = np.stack([_floats(numerators), _floats(denominators)], axis=1)
    return Statistic(columns, quotient)


def mean(values: Floats | Sequence[float]) -> Statistic:
    """The mean of one value an utterance, [utterances]: right or wrong, for example."""
    return ratio(values, np.ones(len(values)))


def quotient(sums: Floats) -> Floats:
    """The first sum by the second, [..., 2] -> [...]; NaN where the second is zero."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def _floats(values: Floats | Sequence[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)


class Estimate(NamedTuple):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two values, its 95% interval, and the two-sided p-value of no difference.

    `p_value` is None below `MIN_UTTERANCES`; `resamples` counts those it comes from.
    """

    value: float
    low: float
    high: float
    p_value: float | None
    resamples: int


def estimate(by_seed: Sequence[Statistic], samples: int, seed: int) -> Estimate | None:
    """Estimate a metric.

    Several seeds are resampled as well as the utterances, which they have in common. Few seeds
    make too narrow an interval: look at the figures of each beside it.

    Args:
        by_seed: the metric of each seed of training, over the same utterances.
        samples: resamples drawn.
        seed: of the resampling.

    Returns:
        None where the metric does not exist.
    """
    value = pooled(by_seed)
    if np.isnan(value):
        return None
    resampled = _resample(by_seed, samples, seed)
    # A resample can hold only utterances that leave the metric undefined: it says nothing.
    return Estimate(value, *_interval(resampled[~np.isnan(resampled)]))


def difference(
    a: Sequence[Statistic], b: Sequence[Statistic], samples: int, seed: int
) -> Difference | None:
    """Estimate by how much the metric of `a` is above that of `b` on the same utterances.

    A paired bootstrap (Koehn 2004, "Statistical significance tests for machine translation
    evaluation"): both are computed on the same resampled utterances, their seeds of training
    resampled apart. The p-value inverts the percentile interval (Efron and Tibshirani 1993,
    section 15.4): twice the smaller share of resampled differences at or on the other side of
    zero, one added to count and samples alike so that it is never zero. It is below 0.05 where
    the interval leaves zero out, up to that one.

    Args:
        a: the metric of each seed of training.
        b: likewise, of the same utterances in the same order.
        samples: resamples drawn.
        seed: of the resampling.

    Returns:
        None where either metric does not exist.

    Raises:
        ValueError: if the utterances are not equally many.
    """
    if len({len(statistic.columns) for statistic in (*a, *b)}) > 1:
        raise ValueError("a paired difference needs the same utterances on both sides")
    value = pooled(a) - pooled(b)
    if np.isnan(value):
        return None
    resampled = _resample(a, samples, seed) - _resample(b, samples, seed)
    resampled = resampled[~np.isnan(resampled)]
    p_value = _p_value(resampled) if len(a[0].columns) >= MIN_UTTERANCES else None
    return Difference(value, *_interval(resampled), p_value, len(resampled))


def pooled(by_seed: Sequence[Statistic]) -> float:
    """The metric over all seeds together; NaN where it does not exist."""
    sums = np.sum([statistic.columns.sum(axis=0) for statistic in by_seed], axis=0)
    return float(by_seed[0].of_sums(sums))


def quantile(values: Floats, q: float, samples: int, seed: int) -> Estimate:
    """Estimate the `q`-quantile (0 to 1) of float64 [utterances]; at least one value."""
    index = np.random.default_rng(seed).integers(0, len(values), size=(samples, len(values)))
    quantiles = np.quantile(values[index], q, axis=1)
    return Estimate(float(np.quantile(values, q)), *_interval(quantiles))


def _resample(by_seed: Sequence[Statistic], samples: int, seed: int) -> Floats:
    """The metric in each resample: float64 [samples]."""
    draws = np.random.default_rng(seed)
    # Counts instead of indices: [samples, utterances] and [samples, seeds].
    drawn = _counts(draws, len(by_seed[0].columns), samples)
    seeds = _counts(draws, len(by_seed), samples)
    per_seed = np.stack([drawn @ statistic.columns for statistic in by_seed])
    return by_seed[0].of_sums(np.einsum("esk,se->sk", per_seed, seeds))


def _counts(draws: np.random.Generator, n: int, samples: int) -> Floats:
    """How often each of `n` is drawn when `n` are: float64 [samples, n]."""
    index = draws.integers(0, n, size=(samples, n))
    index += n * np.arange(samples)[:, None]
    counts = np.bincount(index.ravel(), minlength=samples * n)
    return counts.reshape(samples, n).astype(np.float64)


def _p_value(resampled: Floats) -> float:
    """Two-sided, of no difference; never below `p_floor`."""
    beyond = min((resampled <= 0).sum(), (resampled >= 0).sum())
    return min(1.0, 2 * (int(beyond) + 1) / (len(resampled) + 1))


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
