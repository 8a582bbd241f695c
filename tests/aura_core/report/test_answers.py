import pytest

from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.report.answers import (
    RIGHT,
    WRONG,
    Difference,
    build_answer,
    compare_meanings,
    compare_words,
    disagreements,
    item_scores,
)


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


def said(reference="a b c", **answers):
    return {i: Prediction(id=i, references=(reference,), prediction=p) for i, p in answers.items()}


def test_one_right_and_one_wrong_tell_more_than_two_alike():
    found = disagreements(
        "respond/heldout",
        {"aura": said(x="a b c", y="a b c", z="q"), "cascade": said(x="q", y="a b c", z="q")},
    )
    assert found["x"] > found["y"] == found["z"] == 0
    assert 0.5 <= found["x"] <= 0.6


def test_two_that_are_wrong_in_different_words_disagree_a_little():
    found = disagreements(
        "respond/heldout", {"aura": said(x="q r", y="q"), "cascade": said(x="s t", y="q")}
    )
    assert 0.1 >= found["x"] > found["y"] == 0


def test_the_upper_bound_counts_only_where_there_is_no_other():
    rivals = {"aura": said(x="q"), "cascade": said(x="q")}
    assert disagreements("respond/heldout", {**rivals, "text": said(x="a b c")})["x"] == 0
    assert disagreements("respond/heldout", {"aura": said(x="q"), "text": said(x="a b c")})["x"] > 0


def test_what_not_all_were_asked_is_left_out():
    assert disagreements("respond/heldout", {"aura": said(x="q"), "cascade": said(y="q")}) == {}
    assert disagreements("respond/heldout", {}) == {}


@pytest.mark.parametrize("task", ["mine", "voicebench_commoneval"])
def test_nobody_is_asked_for_a_page(task):
    assert item_scores(task, list(said(x="q").values())) is None
    assert disagreements(task, {"aura": said(x="q"), "cascade": said(x="r")})["x"] > 0


def choice(said):
    return Prediction(id="x", references=("B",), prediction=said, choices={"A": "red", "B": "sky"})


def test_a_choice_is_marked_by_its_score_and_its_letter_has_a_text():
    answer = build_answer(
        "spoken_choice", "Choose.", {"cascade": choice("A"), "aura": choice("B.")}
    )
    assert answer.reference == "B: sky"
    assert [(o.model.name, o.mark) for o in answer.outputs] == [("aura", RIGHT), ("cascade", WRONG)]
    assert [d.kind for o in answer.outputs for d in o.differences] == ["equal", "equal"]


def test_words_are_compared_where_words_are_asked_for():
    said = Prediction(id="x", references=("turn it on",), prediction="turn it off", transcript="t")
    output = build_answer("transcribe/heldout", "", {"aura": said}).outputs[0]
    assert [d.kind for d in output.differences] == ["equal", "substitute"]
    assert output.mark == ""
    assert output.transcript is None


def test_further_answers_are_kept_and_an_empty_one_is_nothing():
    said = Prediction(id="x", references=("six", "6"), prediction="")
    answer = build_answer("spoken_facts", "", {"aura": said})
    assert (answer.reference, answer.also) == ("six", ["6"])
    assert answer.outputs[0].differences == []
    assert answer.outputs[0].mark == WRONG


def test_what_is_graded_by_others_has_no_mark():
    said = Prediction(id="x", references=("what is wanted",), prediction="Well.")
    assert build_answer("voicebench_commoneval", "", {"aura": said}).outputs[0].mark == ""
