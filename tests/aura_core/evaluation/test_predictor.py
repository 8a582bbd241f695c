import time

import pytest
import torch

from aura_core.config.run import EvaluateConfig
from aura_core.config.stage import Runtime
from aura_core.evaluation import predictor as predictors
from aura_core.evaluation.cells import load_cell, plan_cell, publish_cell
from aura_core.evaluation.items import question_sets
from aura_core.evaluation.predictor import Predictor, measure
from aura_core.evaluation.results import Timing, write_timings
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.ingest.utterances import write_table
from aura_core.stages import StageSpec

CPU = torch.device("cpu")


class Sleeper:
    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, seconds, calls

    def first_token(self, item):
        self.calls.append((self.name, item.id))
        assert "audio" in vars(item), "the audio is decoded before the clock runs"
        time.sleep(self.seconds)


@pytest.fixture
def timings(spoken_item):
    calls = []
    models = {"fast": Sleeper("fast", 0.01, calls), "slow": Sleeper("slow", 0.05, calls)}
    items = [spoken_item("one"), spoken_item("two")]
    return measure(models, items, CPU), calls


def test_models_take_turns_on_the_same_clips_after_one_to_warm_up(timings):
    warm_up = [("fast", "one"), ("slow", "one")]
    assert timings[1] == [*warm_up, *warm_up, ("fast", "two"), ("slow", "two")]


def test_the_time_is_that_of_the_model(timings):
    by_model = {t.model: t.ttft_ms for t in timings[0]}
    assert by_model["fast"] >= 10
    assert by_model["slow"] >= 50


def test_timings_come_back(timings, tmp_path):
    path = tmp_path / "latency.jsonl"
    write_timings(str(path), timings[0])
    lines = path.read_text().splitlines()
    assert [Timing.model_validate_json(line) for line in lines] == timings[0]


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
