import numpy as np
import pytest

from aura_core.evaluation import bootstrap


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    estimate = bootstrap.ratio(np.array([1.0, 0.0]), np.array([1.0, 9.0]), samples=200, seed=0)
    assert estimate.value == pytest.approx(0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        correct = (rng.random(80) < 0.3).astype(float)
        estimate = bootstrap.ratio(correct, np.ones(80), samples=400, seed=seed)
        hits += estimate.low <= 0.3 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values, ones = np.arange(20.0), np.ones(20)
    first = bootstrap.ratio(values, ones, samples=300, seed=3)
    assert first == bootstrap.ratio(values, ones, samples=300, seed=3)
    assert first != bootstrap.ratio(values, ones, samples=300, seed=4)


def test_without_a_denominator_there_is_no_metric():
    assert bootstrap.ratio(np.zeros(3), np.zeros(3), samples=100, seed=0) is None


def test_seeds_that_disagree_widen_the_interval_and_seeds_that_agree_do_not():
    errors, words = np.tile([0.0, 1.0], 50), np.ones((3, 100))
    alone = bootstrap.ratio(errors, words[0], samples=500, seed=0)
    alike = bootstrap.ratio(np.stack([errors] * 3), words, samples=500, seed=0)
    apart = bootstrap.ratio(np.stack([errors, 0 * errors, errors * 2]), words, 500, seed=0)
    assert alike == pytest.approx(alone)
    assert apart.value == pytest.approx(0.5)
    assert apart.high - apart.low > 2 * (alone.high - alone.low)


def test_resamples_without_a_denominator_are_left_out():
    above, below = np.array([1.0, 0.0, 0.0]), np.array([2.0, 0.0, 0.0])
    estimate = bootstrap.ratio(above, below, samples=100, seed=0)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


def test_a_quantile_lies_in_its_interval():
    values = np.random.default_rng(0).normal(100, 10, size=60)
    median = bootstrap.quantile(values, 0.5, samples=500, seed=0)
    assert median.value == pytest.approx(np.median(values))
    assert 95 < median.low < median.value < median.high < 105
