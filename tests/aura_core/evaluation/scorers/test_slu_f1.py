import numpy as np
import pytest

from aura_core.evaluation.scorers.meaning import entities, score_slu_f1
from aura_core.evaluation.scorers.scorer import Prediction


def values(*pairs):
    found = score_slu_f1(
        [
            Prediction(id=str(i), references=(reference,), prediction=output)
            for i, (output, reference) in enumerate(pairs)
        ]
    )
    return {name: statistic.value for name, statistic in found.items()}


def test_entities_keep_order_and_repetition():
    assert entities("i; Time = Nine  AM; junk; time=ten") == [("time", "nine am"), ("time", "ten")]


def test_right_and_wrong_labels():
    assert set(values(("i; a=x", "i; a=x")).values()) == {1}
    assert set(values(("i; b=x", "i; a=x")).values()) == {0}
    assert set(values(("", "i; a=x"), ("no idea", "i; b=y")).values()) == {0}


def test_a_value_counts_by_its_distance():
    # Word error rate 1/2, Levenshtein 5/7: each is a hit with that much false on both sides.
    found = values(("i; time=nine am", "i; time=nine pm"))
    assert found["word_f1"] == pytest.approx(1 / 1.5)
    assert found["char_f1"] == pytest.approx(1 / (1 + 1 / 7))
    assert found["slu_f1"] == pytest.approx(2 / (2 + 0.5 + 1 / 7))
    assert found["entity_f1"] == 0


def test_an_entity_is_matched_with_the_nearest_of_its_label():
    found = values(("i; who=anna; who=bob", "i; who=bob; who=anna"))
    assert set(found.values()) == {1}


def test_too_many_and_too_few_entities():
    # One hit, one false positive in the first; one hit, one false negative in the second.
    assert values(("i; a=x; a=x", "i; a=x"))["slu_f1"] == pytest.approx(2 / 3)
    assert values(("i; a=x", "i; a=x; b=y"))["slu_f1"] == pytest.approx(2 / 3)


def test_more_words_than_expected_cost_more_than_a_miss():
    assert values(("i; a=one two three four", "i; a=x"))["word_f1"] == pytest.approx(1 / 5)


def test_an_empty_value_is_a_value():
    assert values(("i; a=", "i; a="))["slu_f1"] == 1
    assert values(("i; a=x", "i; a="))["word_f1"] == 0.5


def test_without_any_entity_there_is_no_f1():
    assert all(np.isnan(value) for value in values(("i", "i")).values())
