import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.errors import AuraError
from aura_core.evaluation.scorers.choice import extract_letter, score_bbh, score_choice
from aura_core.evaluation.scorers.scorer import Prediction

CHOICES = {"A": "green light", "B": "dark green light", "C": "photosynthesis", "D": "the moon"}


def item(answer, reference="B", i="0", choices=CHOICES):
    return Prediction(id=i, references=(reference,), prediction=answer, choices=choices)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(b)", "B"), ("B.", "B"), ("**B**", "B"), ("Option B", "B"),
        ("a", "A"), ("A", "A"), ("Answer: C", "C"), ("\nD\nBecause it orbits us.", "D"),
        ("The answer is B.", "B"), ("The correct answer is (C) photosynthesis.", "C"),
        ("the answer is c because plants do it", "C"), ("The answer is A because it is.", "A"),
        ("the answer is a because it is.", "A"), ("I'd say (B)", "B"), ("I\u2019d say B", "B"),
        ("I would go with option D, I think", "D"), ("It's C.", "C"), ("My choice would be D", "D"),
        ("B. dark green light", "B"), ("b) dark green light", "B"), ("A: green light", "A"),
        ("Option A is wrong. Option C is what plants do.", "C"),
        ("A is tempting, but the answer is D.", "D"),
        ("Photosynthesis.", "C"), ("Plants make it by photosynthesis, of course", "C"),
        ("It must be dark green light.", "B"), ("green light", "A"),
        ("C is the correct answer.", "C"), ("Of these, A is correct.", "A"),
        ("The correct answer to this question is B", "B"), ("The wrong answer is A. It is C.", "C"),
        ("Answer A is wrong; the answer is B", "B"), ("The best of the choices is: D", "D"),
        ("I am going with B", "B"), ("<answer>D</answer>", "D"), (r"So \boxed{B}", "B"),
        ("The answer is the moon.", "D"), ("Definitely the correct option is **C**.", "C"),
    ],
)  # fmt: skip
def test_a_letter_is_found_however_it_is_given(answer, letter):
    assert extract_letter(answer, CHOICES) == letter


@pytest.mark.parametrize(
    "answer",
    [
        "", "   ", "?!", "A good question", "a good question", "That is a good question.",
        "The answer is a good question.", "I do not know.", "E", "(E)", "Because", "Dad can add",
        "A or B", "(A) or (B)", "The answer is A or B.", "The answer is either (A), or (C).",
        "The answer is B. No, the answer is C.", "(A) green (B) dark (C) photo (D) moon",
        "photosynthesis and the moon", "Vitamin C is healthy", "I can't say", "A",
        "The wrong answer is B.", "The answer is not B.", "A is not the right answer.",
    ],
)  # fmt: skip
def test_where_none_or_several_are_named_there_is_no_answer(answer):
    choices = {k: v for k, v in CHOICES.items() if k != "A"} if answer == "A" else CHOICES
    assert extract_letter(answer, choices) is None


def test_the_three_metrics_differ_in_what_an_unparsed_answer_is_worth():
    found = score_choice([item("B"), item("C", i="1"), item("no idea", i="2"), item("", i="3")])
    assert (found["acc"].value, found["parse_fail"].value) == (0.25, 0.5)
    drawn = [found["acc_random_fallback"].columns[i, 0] for i in (0, 1)]
    assert drawn == [1, 0]


def test_the_random_letter_is_fair_and_the_same_for_the_same_item():
    items = [item("no idea", i=f"q{i}") for i in range(2000)]
    first = score_choice(items)["acc_random_fallback"]
    again = score_choice(items[::-1])["acc_random_fallback"]
    assert (first.columns[::-1] == again.columns).all()
    assert first.value == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(item("B", choices=None), "q7 has no choices"), (item("B", "X"), "q7: the reference 'X'")],
)
def test_an_item_that_cannot_be_scored_is_named(broken, message):
    with pytest.raises(AuraError, match=message):
        score_choice([item("B"), broken.model_copy(update={"id": "q7"})])


@given(st.text(alphabet="ABCDabcd ().:*'\nisoranswer"))
def test_whatever_is_written_the_result_is_a_letter_or_none(answer):
    assert extract_letter(answer, CHOICES) in {None, *CHOICES}


def bbh_item(task, answer, reference, **extra):
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
    found = score_bbh([bbh_item(task, answer, reference)])
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
    found = score_bbh([bbh_item(task, answer, "(A)" if task == "hyperbaton" else "yes")])
    assert (found["acc"].value, found["parse_fail"].value) == (0, 1)


def test_the_task_may_be_told_and_not_in_the_id():
    answer = Prediction(
        id="7", references=("yes",), prediction="yes", extra={"task": "web_of_lies"}
    )
    assert score_bbh([answer])["acc"].value == 1


def test_an_unknown_task_and_an_impossible_reference_are_named():
    with pytest.raises(AuraError, match="snarks_12 is of no task of bbh"):
        score_bbh([bbh_item("snarks", "yes", "yes")])
    with pytest.raises(AuraError, match="navigate_12: 'maybe' is no answer of navigate"):
        score_bbh([bbh_item("navigate", "yes", "maybe")])
