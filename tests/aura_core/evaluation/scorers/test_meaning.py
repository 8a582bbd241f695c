import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.evaluation.scorers import meaning
from aura_core.evaluation.scorers.meaning import entities, score_intent, score_meaning, score_slu_f1
from aura_core.evaluation.scorers.scorer import Prediction


@pytest.mark.parametrize(
    ("output", "references", "right"),
    [
        ("alarm_set", ("alarm_set",), 1),
        ("Alarm set", ("alarm_set",), 1),
        ("alarm_set; time=nine", ("alarm_set; time=ten",), 1),
        ("increase-heat-none", ("decrease_heat_none", "increase_heat_none"), 1),
        ("alarm_set.", ("alarm_set",), 1),
        ("alarm_sets", ("alarm_set",), 0),
        ("I would like to alarm_set", ("alarm_set",), 0),
        ("", ("alarm_set",), 0),
        ("; time=ten", ("alarm_set; time=ten",), 0),
    ],
)
def test_only_the_intent_counts(output, references, right):
    found = score_intent([Prediction(id="0", references=references, prediction=output)])
    assert found["intent_accuracy"].value == right


LAMP = "switch; state=on; room=kitchen; item=lamp"


def test_slots_have_no_order_and_case_no_weight():
    assert meaning.parse(LAMP) == meaning.parse("Switch;item=Lamp ; room = kitchen; state=on;")


def test_a_number_may_be_written_either_way():
    assert meaning.parse("heat; degrees=twenty one") == meaning.parse("heat; degrees=21")


def test_a_part_that_is_no_slot_spoils_the_exact_match_only():
    counts = meaning.count_matches([LAMP], [LAMP + "; and so on"])
    assert (counts.exact[0], counts.intent[0], counts.slot_hits[0]) == (0, 1, 3)
    assert counts.slots_predicted[0] == 3


def test_counts_give_the_micro_f1_of_slots():
    counts = meaning.count_matches(
        [LAMP, "timer; count=two; unit=hours"],
        ["switch; state=off; room=kitchen", "timer; count=two; unit=hours"],
    )
    np.testing.assert_array_equal(counts.exact, [0, 1])
    np.testing.assert_array_equal(counts.slot_hits, [1, 2])
    f1 = 2 * counts.slot_hits.sum() / (counts.slots_expected.sum() + counts.slots_predicted.sum())
    assert f1 == 2 * 3 / (5 + 4)


def test_a_repeated_slot_counts_once():
    counts = meaning.count_matches(["a; x=1"], ["a; x=1; x=1; x=1"])
    assert counts.slots_predicted[0] == 1


def test_free_text_is_not_taken_for_meanings():
    assert meaning.are_meanings([LAMP, "stop"])
    assert not meaning.are_meanings(["yes", "no"])
    assert not meaning.are_meanings([LAMP, "The lamp is on."])


@given(st.text())
def test_anything_can_be_parsed_and_equals_itself(text):
    assert meaning.parse(text) == meaning.parse(text)


def values(*pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=output)
        for i, (reference, output) in enumerate(pairs)
    ]
    return {name: statistic.value for name, statistic in score_meaning(predictions).items()}


def test_meanings_have_three_figures():
    found = values(("a; x=1; y=2", "a; y=2; x=1"), ("b; x=1", "c; x=2"))
    assert found == {"exact_match": 0.5, "intent_accuracy": 0.5, "slot_f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize("output", ["", ";;;", "=", "a; x=1; x=1; and so on", "A; X = 2"])
def test_what_is_not_the_meaning_is_no_exact_match(output):
    assert values(("a; x=1", output))["exact_match"] == 0


def test_free_text_has_an_exact_match_after_normalising():
    assert values(("Twenty.", "20"), ("Paris", ""), ("x", "xx")) == {
        "exact_match": pytest.approx(1 / 3)
    }


def slu_values(*pairs):
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
    assert set(slu_values(("i; a=x", "i; a=x")).values()) == {1}
    assert set(slu_values(("i; b=x", "i; a=x")).values()) == {0}
    assert set(slu_values(("", "i; a=x"), ("no idea", "i; b=y")).values()) == {0}


def test_a_value_counts_by_its_distance():
    # Word error rate 1/2, Levenshtein 5/7: each is a hit with that much false on both sides.
    found = slu_values(("i; time=nine am", "i; time=nine pm"))
    assert found["word_f1"] == pytest.approx(1 / 1.5)
    assert found["char_f1"] == pytest.approx(1 / (1 + 1 / 7))
    assert found["slu_f1"] == pytest.approx(2 / (2 + 0.5 + 1 / 7))
    assert found["entity_f1"] == 0


def test_an_entity_is_matched_with_the_nearest_of_its_label():
    found = slu_values(("i; who=anna; who=bob", "i; who=bob; who=anna"))
    assert set(found.values()) == {1}


def test_too_many_and_too_few_entities():
    # One hit, one false positive in the first; one hit, one false negative in the second.
    assert slu_values(("i; a=x; a=x", "i; a=x"))["slu_f1"] == pytest.approx(2 / 3)
    assert slu_values(("i; a=x", "i; a=x; b=y"))["slu_f1"] == pytest.approx(2 / 3)


def test_more_words_than_expected_cost_more_than_a_miss():
    assert slu_values(("i; a=one two three four", "i; a=x"))["word_f1"] == pytest.approx(1 / 5)


def test_an_empty_value_is_a_value():
    assert slu_values(("i; a=", "i; a="))["slu_f1"] == 1
    assert slu_values(("i; a=x", "i; a="))["word_f1"] == 0.5


def test_without_any_entity_there_is_no_f1():
    assert all(np.isnan(value) for value in slu_values(("i", "i")).values())
