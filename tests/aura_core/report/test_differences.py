import pytest

from aura_core.report.differences import Difference, compare_meanings, compare_words


def test_words_that_differ_are_told_from_those_that_are_missing_or_added():
    assert compare_words("please turn the lamp on", "turn a lamp on now") == [
        Difference("delete", "please", ""),
        Difference("equal", "turn", "turn"),
        Difference("substitute", "the", "a"),
        Difference("equal", "lamp on", "lamp on"),
        Difference("insert", "", "now"),
    ]


def test_case_and_punctuation_at_the_edges_do_not_count_but_are_shown():
    assert compare_words("hello world", "Hello, world.") == [
        Difference("equal", "hello world", "Hello, world.")
    ]


@pytest.mark.parametrize(
    ("reference", "output", "expected"),
    [
        ("", "", []),
        ("a b", "", [Difference("delete", "a b", "")]),
        ("", "a b", [Difference("insert", "", "a b")]),
        ("a - b", "a - b", [Difference("equal", "a - b", "a - b")]),
    ],
)
def test_empty_texts_and_lone_punctuation(reference, output, expected):
    assert compare_words(reference, output) == expected


def test_slots_are_compared_by_name_whatever_their_order():
    differences = compare_meanings(
        "switch; state=on; room=hall; item=lamp", "switch; room=hall; state=off; size=big"
    )
    assert differences == [
        Difference("equal", "switch", "switch"),
        Difference("substitute", "state=on", "state=off"),
        Difference("equal", "room=hall", "room=hall"),
        Difference("delete", "item=lamp", ""),
        Difference("insert", "", "size=big"),
    ]


def test_a_number_in_digits_is_the_number_in_words():
    assert {d.kind for d in compare_meanings("alarm; hour=seven", "alarm; hour=7")} == {"equal"}
