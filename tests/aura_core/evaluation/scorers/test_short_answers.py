import sys
from importlib import util

import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.scorers import short_answers
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.short_answers import (
    holds,
    score_exist_match,
    score_pedant,
    score_squad,
)


@pytest.mark.parametrize(
    ("tokens", "part", "found"),
    [
        ("a b c", "b c", True),
        ("a b c", "a b c", True),
        ("a b c", "a c", False),
        ("a b", "a b c", False),
        ("a b", "", False),
        ("", "", False),
    ],
)
def test_a_part_is_held_without_a_gap(tokens, part, found):
    assert holds(tokens.split(), part.split()) == found
    assert holds(tuple(tokens.split()), tuple(part.split())) == found


def value(output, *references):
    return score_exist_match([Prediction(id="0", references=references, prediction=output)])[
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


def values(output, *references):
    found = score_squad([Prediction(id="0", references=references, prediction=output)])
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
    found = score_squad(
        [
            Prediction(id="0", references=("a b c d",), prediction="b c d"),
            Prediction(id="1", references=("x",), prediction="y"),
        ]
    )
    assert (found["em"].value, found["f1"].value) == (0.5, pytest.approx(0.5))


# The example of qa_metrics' own documentation.
FROG = Prediction(
    id="0",
    references=("The Frog Prince", "The Princess and the Frog"),
    prediction='The movie "The Princess and the Frog" is loosely based off "Iron Henry"',
    extra={"question": "Which movie is loosely based off the Brother Grimm's Iron Henry?"},
)
_INSTALLED = """
class PEDANT:
    def evaluate(self, reference, candidate, question):
        assert isinstance(reference, list) and "Iron Henry" in question
        return any(each in candidate for each in reference)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder that is found as qa_metrics, with what its release is made of."""
    short_answers.load_matcher.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "qa_metrics"]:
        monkeypatch.delitem(sys.modules, name)
    root = tmp_path / "qa_metrics"
    (root / "classifier").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "pedant.py").write_text(_INSTALLED)
    for name in ("lr_classifier", "tf-idf_vectorizer", "rule_classifier", "type_classifier"):
        (root / "classifier" / f"{name}.pkl").touch()
    info = tmp_path / f"qa_metrics-{short_answers.RELEASE}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: qa_metrics\nVersion: {short_answers.RELEASE}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield root
    short_answers.load_matcher.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "qa_metrics"]:
        del sys.modules[name]


def test_every_reference_and_the_question_are_handed_over(package):
    wrong = FROG.model_copy(update={"prediction": "Shrek"})
    assert score_pedant([FROG, wrong])["pedant"].value == 0.5


def test_it_says_what_to_install(monkeypatch):
    short_answers.load_matcher.cache_clear()
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(AuraError, match=r"pip install --no-deps qa_metrics==0\.2\.42"):
        score_pedant([FROG])


def test_a_missing_classifier_is_named_and_not_downloaded(package):
    (package / "classifier" / "rule_classifier.pkl").unlink()
    with pytest.raises(AuraError, match="needs the classifier rule_classifier of qa_metrics"):
        score_pedant([FROG])


def test_another_release_is_refused(package):
    info = next(package.parent.glob("*.dist-info"))
    (info / "METADATA").write_text("Name: qa_metrics\nVersion: 0.2.19\n")
    with pytest.raises(AuraError, match=r"needs qa_metrics 0\.2\.42, not 0\.2\.19"):
        score_pedant([FROG])


def test_a_release_that_breaks_here_is_told_in_one_line(package):
    (package / "pedant.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(AuraError, match=r"cannot be used here.*a_module_that_is_not_there"):
        score_pedant([FROG])


def test_an_item_without_a_question_is_named(package):
    with pytest.raises(AuraError, match="q7 has no question"):
        score_pedant([FROG.model_copy(update={"id": "q7", "extra": {}})])


def test_order_changes_nothing(package):
    wrong = FROG.model_copy(update={"prediction": "Shrek"})
    columns = score_pedant([FROG, wrong])["pedant"].columns
    assert columns.tolist() == score_pedant([wrong, FROG])["pedant"].columns[::-1].tolist()
