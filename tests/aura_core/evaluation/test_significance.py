import numpy as np
import pytest

from aura_core.evaluation import bootstrap
from aura_core.evaluation.significance import MIN_UTTERANCES, format_p, p_floor
from aura_core.evaluation.statistic import mean


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
