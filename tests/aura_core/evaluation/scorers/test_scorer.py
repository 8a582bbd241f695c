import pytest
from pydantic import ValidationError

from aura_core.errors import AuraError
from aura_core.evaluation.scorers.scorer import Prediction, read_predictions, write_predictions


def test_predictions_come_back_whole(tmp_path):
    predictions = [
        Prediction(id="ä", references=("a\u2028b", "c"), prediction="", transcript="t"),
        Prediction(
            id="b", references=("",), prediction="(A)", choices={"A": "x"},
            extra={"snr_db": 10.5, "kwargs": [{"n": None}], "voice": "joe"},
        ),
    ]  # fmt: skip
    uri = str(tmp_path / "p.jsonl")
    write_predictions(uri, predictions)
    assert read_predictions(uri) == predictions


def test_a_prediction_needs_an_answer_to_be_held_against():
    with pytest.raises(ValidationError, match="references"):
        Prediction(id="a", references=(), prediction="x")


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(AuraError, match=r"p\.jsonl line 1 is damaged"):
        read_predictions(str(tmp_path / "p.jsonl"))
