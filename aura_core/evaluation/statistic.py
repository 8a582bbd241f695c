"""Metrics as functions of sums over utterances, which is all a bootstrap has to know of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
