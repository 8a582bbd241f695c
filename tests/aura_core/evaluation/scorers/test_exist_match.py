import pytest

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.exist_match import score


def value(output, *references):
    return score([Prediction(id="0", references=references, prediction=output)])[
        "exist_match"
    ].value


@pytest.mark.parametrize(
    ("output", "references"),
    [
        ("It was Paris, I think.", ("paris",)),
        ("the answer is New York", ("NYC", "New York")),
        ("Beyonce\u0301 sang it", ("Beyonc\u00e9",)),  # composed and decomposed are one
        ("in 1969.", ("1969",)),
        ("ZÜRICH", ("Zürich",)),
    ],
)
def test_an_alias_is_found(output, references):
    assert value(output, *references) == 1


@pytest.mark.parametrize(
    ("output", "references"),
    [
        ("", ("paris",)),
        ("Parisian food", ("Paris",)),  # a token, not a substring
        ("York, the new one", ("New York",)),
        ("in 11969", ("1969",)),
        ("Beyonce", ("Beyonc\u00e9",)),
        ("anything", ("",)),  # an empty alias would be in everything
        ("anything", (" \u200b",)),
    ],
)
def test_what_only_looks_like_an_alias_is_not_found(output, references):
    assert value(output, *references) == 0
