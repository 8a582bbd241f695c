import pytest

from aura_core.config import EvaluateConfig
from aura_core.corpus.table import write_table
from aura_core.evaluation import predictor as predictors
from aura_core.evaluation.cells import load_cell, plan_cell, publish_cell
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.predictor import Predictor
from aura_core.evaluation.question_sets import question_sets
from aura_core.pipeline import StageSpec
from aura_core.stage_config import Runtime

(HELDOUT,) = question_sets({"heldout": ["transcribe"]}, ())


class Shouter:
    """Stands for the text LLM: answers with the transcript it is given, and counts."""

    def __init__(self):
        self.asked = []

    def predict(self, items, max_new_tokens):
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
    cell = plan_cell(predictor.spec, predictor.config, model, HELDOUT)
    publish_cell(
        cell, [Prediction(id=i, references=("",), prediction=text) for i, text in answers.items()]
    )


def test_the_cascade_asks_its_llm_only_where_the_asr_was_wrong(predictor):
    publish(predictor, "asr", {"one": "turn it on", "two": "turn it of"})
    publish(predictor, "text", {"one": "known answer", "two": "other answer"})
    model = predictor._models["cascade", "ingest"] = Shouter()
    cell = plan_cell(predictor.spec, predictor.config, "cascade", HELDOUT)

    assert predictor.make_cell(cell) == 2

    made = {p.id: (p.prediction, p.transcript) for p in load_cell(cell)}
    assert made == {"one": ("known answer", "turn it on"), "two": ("TURN IT OF", "turn it of")}
    assert model.asked == ["two"]


def test_without_the_text_model_the_cascade_asks_for_all(predictor):
    publish(predictor, "asr", {"one": "turn it on", "two": "turn it of"})
    model = predictor._models["cascade", "ingest"] = Shouter()
    cell = plan_cell(predictor.spec, predictor.config, "cascade", HELDOUT)
    predictor.make_cell(cell)
    assert sorted(model.asked) == ["one", "two"]


def test_an_interrupted_cell_goes_on_at_the_next_item(predictor, monkeypatch):
    monkeypatch.setattr(predictors, "_PART_ITEMS", 1)
    publish(predictor, "asr", {"one": "turn it on", "two": "turn it of"})
    cell = plan_cell(predictor.spec, predictor.config, "cascade", HELDOUT)
    model = predictor._models["cascade", "ingest"] = Killed(after=1)
    with pytest.raises(KeyboardInterrupt):
        predictor.make_cell(cell)

    again = predictor._models["cascade", "ingest"] = Shouter()
    assert predictor.make_cell(cell) == 2
    assert len(model.asked) == len(again.asked) == 1
    assert {p.prediction for p in load_cell(cell)} == {"TURN IT ON", "TURN IT OF"}


class Killed(Shouter):
    """Answers some batches, then the process ends."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def predict(self, items, max_new_tokens):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().predict(items, max_new_tokens)
