import pytest

from aura_core.evaluation.scorers.meaning import score_intent
from aura_core.evaluation.scorers.scorer import Prediction


@pytest.mark.parametrize(
    ("output", "references", "right"),
    [
        ("alarm_set", ("alarm_set",), 1),
        ("Alarm set", ("alarm_set",), 1),
        ("alarm_set; time=nine", ("alarm_set; time=ten",), 1),
        ("increase-heat-none", ("decrease_heat_none", "increase_heat_none"), 1),
        ("alarm_set.", ("alarm_set",), 1),
        ("alarm_sets", ("alarm_set",), 0),
        ("I would like to alarm_set", ("alarm_set",), 0),
        ("", ("alarm_set",), 0),
        ("; time=ten", ("alarm_set; time=ten",), 0),
    ],
)
def test_only_the_intent_counts(output, references, right):
    found = score_intent([Prediction(id="0", references=references, prediction=output)])
    assert found["intent_accuracy"].value == right
