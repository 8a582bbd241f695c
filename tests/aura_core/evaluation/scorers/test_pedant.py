import sys
from importlib import util

import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers import pedant

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
    pedant.load_matcher.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "qa_metrics"]:
        monkeypatch.delitem(sys.modules, name)
    root = tmp_path / "qa_metrics"
    (root / "classifier").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "pedant.py").write_text(_INSTALLED)
    for name in ("lr_classifier", "tf-idf_vectorizer", "rule_classifier", "type_classifier"):
        (root / "classifier" / f"{name}.pkl").touch()
    info = tmp_path / f"qa_metrics-{pedant.RELEASE}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: qa_metrics\nVersion: {pedant.RELEASE}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield root
    pedant.load_matcher.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "qa_metrics"]:
        del sys.modules[name]


def test_every_reference_and_the_question_are_handed_over(package):
    wrong = FROG.model_copy(update={"prediction": "Shrek"})
    assert pedant.score([FROG, wrong])["pedant"].value == 0.5


def test_it_says_what_to_install(monkeypatch):
    pedant.load_matcher.cache_clear()
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(AuraError, match=r"pip install --no-deps qa_metrics==0\.2\.42"):
        pedant.score([FROG])


def test_a_missing_classifier_is_named_and_not_downloaded(package):
    (package / "classifier" / "rule_classifier.pkl").unlink()
    with pytest.raises(AuraError, match="needs the classifier rule_classifier of qa_metrics"):
        pedant.score([FROG])


def test_another_release_is_refused(package):
    info = next(package.parent.glob("*.dist-info"))
    (info / "METADATA").write_text("Name: qa_metrics\nVersion: 0.2.19\n")
    with pytest.raises(AuraError, match=r"needs qa_metrics 0\.2\.42, not 0\.2\.19"):
        pedant.score([FROG])


def test_a_release_that_breaks_here_is_told_in_one_line(package):
    (package / "pedant.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(AuraError, match=r"cannot be used here.*a_module_that_is_not_there"):
        pedant.score([FROG])


def test_an_item_without_a_question_is_named(package):
    with pytest.raises(AuraError, match="q7 has no question"):
        pedant.score([FROG.model_copy(update={"id": "q7", "extra": {}})])


def test_order_changes_nothing(package):
    wrong = FROG.model_copy(update={"prediction": "Shrek"})
    columns = pedant.score([FROG, wrong])["pedant"].columns
    assert columns.tolist() == pedant.score([wrong, FROG])["pedant"].columns[::-1].tolist()
