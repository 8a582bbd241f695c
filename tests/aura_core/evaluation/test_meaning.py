import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aura_core.evaluation.scorers import meaning

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
