import pytest

from aura_core.evaluation.predictions import Prediction
from aura_core.report.disagreement import disagreements, item_scores


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
