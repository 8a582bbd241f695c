import pytest

from aura_core.bench.rounds import in_turns, median_ratio


def test_every_round_has_all_of_them_and_begins_one_further_on():
    assert [in_turns(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_a_slow_round_is_slow_for_both():
    assert median_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == pytest.approx(2.0)


def test_rounds_must_be_equally_many():
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])
