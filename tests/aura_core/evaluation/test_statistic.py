import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aura_core.evaluation.statistic import mean, quotient, ratio


def test_a_ratio_is_of_sums_and_a_mean_of_values():
    assert ratio([1, 0], [1, 9]).value == pytest.approx(0.1)
    assert mean([1, 0, 0, 1]).value == 0.5


def test_what_does_not_exist_is_nan():
    assert np.isnan(ratio([1.0], [0.0]).value)
    assert np.isnan(mean([]).value)


def test_a_selection_is_the_metric_of_those_utterances():
    statistic = ratio([1, 2, 3], [10, 10, 5])
    assert statistic.select([0, 2]).value == pytest.approx(4 / 15)
    assert np.isnan(statistic.select([]).value)


@given(arrays(np.float64, (3, 4, 2), elements=st.integers(0, 100).map(float)))
def test_leading_axes_are_kept(sums):
    found = quotient(sums)
    assert found.shape == (3, 4)
    np.testing.assert_array_equal(np.isnan(found), sums[..., 1] == 0)
