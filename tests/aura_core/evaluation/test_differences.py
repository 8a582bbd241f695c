import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.differences import score_models
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.table import SCORERS

SPOKEN = [f"word{i} and more" for i in range(20)]


def said(outputs, order=None):
    predictions = [
        Prediction(id=f"u{i}", references=(text,), prediction=output)
        for i, (text, output) in enumerate(zip(SPOKEN, outputs, strict=True))
    ]
    return [predictions[i] for i in order] if order else predictions


def compare(**by_model):
    return score_models("b", SCORERS["wer"], by_model, samples=200, seed=0)


def test_aura_is_compared_with_every_other_model_in_the_primary_metric():
    rows, found = compare(text=[said(SPOKEN)], aura=[said(SPOKEN)] * 2, cascade=[said([""] * 20)])
    assert [(row.model, row.value) for row in rows] == [("text", 0), ("aura", 0), ("cascade", 1)]
    assert [(d.model, d.other, d.task, d.metric, d.value, d.n) for d in found] == [
        ("aura", "text", "b", "wer", 0, 20),
        ("aura", "cascade", "b", "wer", -1, 20),
    ]
    assert (found[0].p_value, found[1].ci_high) == (1, -1)
    assert found[1].p_value < 0.05


def test_utterances_are_paired_by_id_and_not_by_position():
    half = [text if i % 2 else "" for i, text in enumerate(SPOKEN)]
    turned = said(half, order=list(reversed(range(20))))
    _, (found,) = compare(aura=[said(half)], text=[turned])
    assert (found.ci_low, found.value, found.ci_high) == (0, 0, 0)


def test_without_aura_there_is_nothing_to_compare():
    rows, found = compare(text=[said(SPOKEN)], cascade=[said(SPOKEN)])
    assert (len(rows), found) == (2, [])
    assert compare() == ([], [])


def test_models_that_were_asked_different_things_are_not_compared():
    with pytest.raises(AuraError, match="u19"):
        compare(aura=[said(SPOKEN)], text=[said(SPOKEN)[:-1]])
    with pytest.raises(AuraError, match="text answered an utterance twice"):
        compare(aura=[said(SPOKEN)], text=[said(SPOKEN, order=[*range(20), 3])])
