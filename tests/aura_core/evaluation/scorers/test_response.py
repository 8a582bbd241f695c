import pytest

from aura_core.evaluation.scorers.meaning import score_meaning
from aura_core.evaluation.scorers.scorer import Prediction


def values(*pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=output)
        for i, (reference, output) in enumerate(pairs)
    ]
    return {name: statistic.value for name, statistic in score_meaning(predictions).items()}


def test_meanings_have_three_figures():
    found = values(("a; x=1; y=2", "a; y=2; x=1"), ("b; x=1", "c; x=2"))
    assert found == {"exact_match": 0.5, "intent_accuracy": 0.5, "slot_f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize("output", ["", ";;;", "=", "a; x=1; x=1; and so on", "A; X = 2"])
def test_what_is_not_the_meaning_is_no_exact_match(output):
    assert values(("a; x=1", output))["exact_match"] == 0


def test_free_text_has_an_exact_match_after_normalising():
    assert values(("Twenty.", "20"), ("Paris", ""), ("x", "xx")) == {
        "exact_match": pytest.approx(1 / 3)
    }
