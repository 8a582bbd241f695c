import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aura_core.evaluation import bootstrap
from aura_core.evaluation.bootstrap import (
    MIN_UTTERANCES,
    Statistic,
    format_p,
    mean,
    p_floor,
    quotient,
    ratio,
)


@pytest.mark.parametrize(
    ("resamples", "floor", "above"),
    [(100, "< 0.02", "= 0.040"), (400, "< 0.005", "= 0.010"), (1000, "< 0.002", "= 0.004"),
     (1500, "< 0.002", "= 0.003"), (10_000, "< 0.0002", "= 0.0004")],
)  # fmt: skip
def test_the_smallest_that_a_bootstrap_can_give_is_written_as_a_bound(resamples, floor, above):
    certain = bootstrap.difference([mean([1.0] * 20)], [mean([0.0] * 20)], resamples, seed=0)
    assert certain.p_value == p_floor(certain.resamples)
    assert format_p(certain.p_value, certain.resamples) == floor
    assert certain.p_value < float(floor.removeprefix("< ")), "what is written is true"
    assert format_p(2 * certain.p_value, resamples) == above
    assert format_p(0.5, resamples) == f"= 0.{'5':0<{len(above) - 4}}"


def test_so_few_utterances_have_no_p_value():
    values = np.ones(MIN_UTTERANCES)
    for few in range(1, MIN_UTTERANCES):
        found = bootstrap.difference([mean(values[:few])], [mean(0 * values[:few])], 100, seed=0)
        assert (found.value, found.p_value) == (1, None)
    assert bootstrap.difference([mean(values)], [mean(0 * values)], 100, seed=0).p_value < 0.05


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


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    estimate = bootstrap.estimate([ratio([1, 0], [1, 9])], samples=200, seed=0)
    assert estimate.value == pytest.approx(0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        correct = (rng.random(80) < 0.3).astype(float)
        estimate = bootstrap.estimate([mean(correct)], samples=400, seed=seed)
        hits += estimate.low <= 0.3 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values = [mean(np.arange(20.0))]
    first = bootstrap.estimate(values, samples=300, seed=3)
    assert first == bootstrap.estimate(values, samples=300, seed=3)
    assert first != bootstrap.estimate(values, samples=300, seed=4)


def test_without_a_denominator_there_is_no_metric():
    assert bootstrap.estimate([ratio(np.zeros(3), np.zeros(3))], samples=100, seed=0) is None
    assert bootstrap.estimate([mean([])], samples=100, seed=0) is None


def test_seeds_that_disagree_widen_the_interval_and_seeds_that_agree_do_not():
    errors = np.tile([0.0, 1.0], 50)
    alone = bootstrap.estimate([mean(errors)], samples=500, seed=0)
    alike = bootstrap.estimate([mean(errors)] * 3, samples=500, seed=0)
    apart = bootstrap.estimate([mean(errors * k) for k in (1, 0, 2)], samples=500, seed=0)
    assert alike == pytest.approx(alone)
    assert apart.value == pytest.approx(0.5)
    assert apart.high - apart.low > 2 * (alone.high - alone.low)


def test_resamples_without_a_denominator_are_left_out():
    estimate = bootstrap.estimate([ratio([1, 0, 0], [2, 0, 0])], samples=100, seed=0)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


def test_a_quantile_lies_in_its_interval():
    values = np.random.default_rng(0).normal(100, 10, size=60)
    median = bootstrap.quantile(values, 0.5, samples=500, seed=0)
    assert median.value == pytest.approx(np.median(values))
    assert 95 < median.low < median.value < median.high < 105


def test_any_function_of_sums_can_be_estimated():
    columns = np.random.default_rng(0).normal(5, 1, size=(50, 3))
    product = Statistic(columns, lambda sums: sums.prod(axis=-1))
    estimate = bootstrap.estimate([product], samples=200, seed=0)
    assert estimate.value == pytest.approx(columns.sum(axis=0).prod())
    assert estimate.low < estimate.value < estimate.high


def test_a_paired_difference_sees_what_the_two_intervals_hide():
    hard = np.random.default_rng(0).random(100) < 0.5
    a, b = hard * 1.0, hard * 1.0
    b[:20] = 0  # worse on few of the same utterances
    apart = [bootstrap.estimate([mean(values)], samples=1000, seed=0) for values in (a, b)]
    assert apart[0].low < apart[1].high
    difference = bootstrap.difference([mean(a)], [mean(b)], samples=1000, seed=0)
    assert difference.value == pytest.approx(a.mean() - b.mean())
    assert 0 < difference.low <= difference.value <= difference.high
    assert difference.p_value < 0.05


def test_the_order_of_the_two_changes_the_sign_only():
    rng = np.random.default_rng(1)
    a, b = (mean(rng.random(40)) for _ in range(2))
    one = bootstrap.difference([a], [b], samples=300, seed=0)
    other = bootstrap.difference([b], [a], samples=300, seed=0)
    expected = (-one.value, -one.high, -one.low, one.p_value, one.resamples)
    assert tuple(other) == pytest.approx(expected)


def test_no_difference_is_found_as_often_as_the_p_value_says():
    rng = np.random.default_rng(2)
    p_values = []
    for seed in range(200):
        a, b = (mean(rng.random(80)) for _ in range(2))
        p_values.append(bootstrap.difference([a], [b], samples=400, seed=seed).p_value)
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.12


def test_equal_models_do_not_differ():
    values = mean(np.tile([0.0, 1.0], 20))
    difference = bootstrap.difference([values], [values] * 2, samples=200, seed=0)
    assert tuple(difference) == (0, 0, 0, 1, 200)


def test_a_difference_needs_both_sides():
    missing = ratio(np.zeros(2), np.zeros(2))
    assert bootstrap.difference([mean([1, 0])], [missing], samples=100, seed=0) is None
    with pytest.raises(ValueError, match="same utterances"):
        bootstrap.difference([mean([1, 0])], [mean([1])], samples=100, seed=0)
