import pytest

from aura_core.config import EvaluateConfig
from aura_core.corpus.table import write_table
from aura_core.evaluation.cells import load_cell, plan_cell, publish_cell
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.predictor import Predictor
from aura_core.pipeline import StageSpec
from aura_core.stage_config import Runtime


class Shouter:
    """Stands for the text LLM: answers with the transcript it is given, and counts."""

    def __init__(self):
        self.asked = []

    def predict(self, items):
        self.asked += [item.id for item in items]
        return [item.transcript.upper() for item in items]


@pytest.fixture
def predictor(tmp_path, row):
    write_table(str(tmp_path / "ingest"), [row("one", "turn it on"), row("two", "turn it off")])
    spec = StageSpec(
        name="evaluate",
        stage="evaluate",
        stage_version=1,
        fingerprint="e" * 64,
        uri=str(tmp_path / "evaluate"),
        root=str(tmp_path),
        identity={"pinned": {"asr": "w"}},
        inputs={"ingest": str(tmp_path / "ingest")},
        input_fingerprints={"ingest": "i", "text_lora": "t", "distil": "d"},
        runtime=Runtime(),
    )
    return Predictor(spec, EvaluateConfig())


def publish(predictor, model, answers):
    cell = plan_cell(predictor.spec, predictor.config, model, "heldout", "transcribe")
    publish_cell(
        cell, [Prediction(id=i, references=("",), prediction=text) for i, text in answers.items()]
    )


def test_the_cascade_asks_its_llm_only_where_the_asr_was_wrong(predictor):
    publish(predictor, "asr", {"one": "turn it on", "two": "turn it of"})
    publish(predictor, "text", {"one": "known answer", "two": "other answer"})
    model = predictor._models["cascade"] = Shouter()
    cell = plan_cell(predictor.spec, predictor.config, "cascade", "heldout", "transcribe")

    assert predictor.make_cell(cell) == 2

    made = {p.id: (p.prediction, p.transcript) for p in load_cell(cell)}
    assert made == {"one": ("known answer", "turn it on"), "two": ("TURN IT OF", "turn it of")}
    assert model.asked == ["two"]


def test_without_the_text_model_the_cascade_asks_for_all(predictor):
    publish(predictor, "asr", {"one": "turn it on", "two": "turn it of"})
    model = predictor._models["cascade"] = Shouter()
    cell = plan_cell(predictor.spec, predictor.config, "cascade", "heldout", "transcribe")
    predictor.make_cell(cell)
    assert sorted(model.asked) == ["one", "two"]
