import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.scorers.choice import score_bbh
from aura_core.evaluation.scorers.scorer import Prediction


def item(task, answer, reference, **extra):
    return Prediction(id=f"{task}_12", references=(reference,), prediction=answer, extra=extra)


@pytest.mark.parametrize(
    ("task", "answer", "reference"),
    [
        ("hyperbaton", "The correct adjective order is option (B).", "(B)"),
        ("hyperbaton", "b", "(B)"),
        ("navigate", "Yes.", "Yes"),
        ("navigate", "Let's see. No, wait, turn left first. The answer is yes", "Yes"),
        ("navigate", "You do not return to the starting point.", "No"),
        ("navigate", "You would end up at the starting point", "Yes"),
        ("sports_understanding", "no, it is not plausible", "no"),
        ("sports_understanding", "Considering all this the sentence is not plausible.", "no"),
        ("sports_understanding", "That sounds plausible to me", "yes"),
        ("sports_understanding", "It seems unlikely.", "no"),
        ("sports_understanding", "No doubt, yes.", "yes"),
        ("web_of_lies", "Fidel says so, and so the answer is: **No**", "no"),
        ("web_of_lies", "She doesn\u2019t tell the truth.", "No"),
        ("web_of_lies", "Therefore he tells the truth.", "yes"),
    ],
)
def test_an_answer_is_found_in_the_tasks_own_words(task, answer, reference):
    found = score_bbh([item(task, answer, reference)])
    assert (found["acc"].value, found["parse_fail"].value) == (1, 0)


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("navigate", ""), ("navigate", "Turn around."), ("hyperbaton", "A nice old red ball"),
        ("navigate", "The answer is yes. The answer is no."),
        ("sports_understanding", "Not plausible at first, but plausible."),
        ("sports_understanding", "Perhaps yes, perhaps no, who knows"),
        ("web_of_lies", "It's now known."),
    ],
)  # fmt: skip
def test_where_nothing_or_both_is_said_parsing_fails(task, answer):
    found = score_bbh([item(task, answer, "(A)" if task == "hyperbaton" else "yes")])
    assert (found["acc"].value, found["parse_fail"].value) == (0, 1)


def test_the_task_may_be_told_and_not_in_the_id():
    answer = Prediction(
        id="7", references=("yes",), prediction="yes", extra={"task": "web_of_lies"}
    )
    assert score_bbh([answer])["acc"].value == 1


def test_an_unknown_task_and_an_impossible_reference_are_named():
    with pytest.raises(AuraError, match="snarks_12 is of no task of bbh"):
        score_bbh([item("snarks", "yes", "yes")])
    with pytest.raises(AuraError, match="navigate_12: 'maybe' is no answer of navigate"):
        score_bbh([item("navigate", "yes", "maybe")])
