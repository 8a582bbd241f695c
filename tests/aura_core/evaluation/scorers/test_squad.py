import pytest

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.squad import score


def values(output, *references):
    found = score([Prediction(id="0", references=references, prediction=output)])
    return found["em"].value, found["f1"].value


@pytest.mark.parametrize(
    ("output", "references", "em", "f1"),
    [
        ("The Denver Broncos!", ("Denver Broncos",), 1, 1),
        ("denver  broncos", ("a Denver Broncos", "Carolina"), 1, 1),
        ("Broncos", ("Denver Broncos", "the Broncos"), 1, 1),
        ("Denver Nuggets", ("Denver Broncos",), 0, 0.5),
        ("Denver Denver", ("Denver Broncos",), 0, 0.5),  # a word counts as often as expected
        ("Carolina", ("Denver Broncos",), 0, 0),
        ("", ("Denver Broncos",), 0, 0),
        ("another theatre", ("other atre",), 0, 0),  # articles inside words stay
        ("the", ("a",), 1, 0),  # as published: nothing is left to share
    ],
)
def test_exact_match_and_f1(output, references, em, f1):
    assert values(output, *references) == (em, pytest.approx(f1))


def test_a_corpus_is_the_mean_of_its_questions():
    found = score(
        [
            Prediction(id="0", references=("a b c d",), prediction="b c d"),
            Prediction(id="1", references=("x",), prediction="y"),
        ]
    )
    assert (found["em"].value, found["f1"].value) == (0.5, pytest.approx(0.5))
