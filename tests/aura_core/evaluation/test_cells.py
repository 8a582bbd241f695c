import pytest

from aura_core.config import EvaluateConfig
from aura_core.evaluation.cells import is_complete, load_cell, plan_cell, plan_cells, publish_cell
from aura_core.evaluation.predictions import Prediction
from aura_core.pipeline import StageSpec
from aura_core.stage_config import Runtime

TASKS = {"heldout": ["transcribe", "respond"], "voice": ["transcribe"]}


def make_spec(root="root", **fingerprints):
    inputs = {"ingest": "i" * 64, "text_lora": "t" * 64, "distil": "d" * 64} | fingerprints
    return StageSpec(
        name="evaluate",
        stage="evaluate",
        stage_version=1,
        fingerprint="e" * 64,
        uri=f"{root}/evaluate/e",
        root=str(root),
        identity={"pinned": {"asr": "w" * 64}},
        inputs={},
        input_fingerprints=inputs,
        runtime=Runtime(),
    )


def addresses(spec, config=None, tasks=TASKS):
    return {c.label: c.fingerprint for c in plan_cells(spec, config or EvaluateConfig(), tasks)}


def changed(before, after):
    return {label for label in before.keys() & after if before[label] != after[label]}


def test_every_model_has_a_cell_per_split_and_task_and_the_asr_comes_first():
    labels = list(addresses(make_spec()))
    assert labels[:2] == ["asr.heldout.transcribe", "asr.voice.transcribe"]
    assert len(labels) == 2 + 3 * 3
    without_cascade = EvaluateConfig(models=("aura",))
    assert len(addresses(make_spec(), without_cascade)) == 3


def test_a_new_split_leaves_the_other_cells_alone():
    before = addresses(make_spec(), tasks={"heldout": ["transcribe"]})
    assert before.items() <= addresses(make_spec()).items()


def test_a_retrained_student_changes_its_own_cells_only():
    before, after = addresses(make_spec()), addresses(make_spec(distil="x" * 64))
    assert {label.split(".")[0] for label in changed(before, after)} == {"aura"}


def test_every_student_of_an_ablation_has_cells_of_its_own_and_a_name_changes_nothing():
    others = {"distil.aura.1": "e" * 64, "distil.bridge.0": "f" * 64}
    tasks = {"heldout": ["transcribe"]}
    labels = addresses(make_spec(**others), tasks=tasks)
    assert labels.items() >= addresses(make_spec(), tasks=tasks).items()
    assert {"aura-seed-1.heldout.transcribe", "bridge-seed-0.heldout.transcribe"} < labels.keys()
    renamed = addresses(make_spec(**{"distil.ponte.0": "f" * 64}), tasks=tasks)
    assert renamed["ponte-seed-0.heldout.transcribe"] == labels["bridge-seed-0.heldout.transcribe"]
    cells = plan_cells(make_spec(**others), EvaluateConfig(), tasks)
    assert {c.model for c in cells} == {"asr", "aura", "cascade", "text", "bridge"}


def test_another_asr_changes_the_cascade_and_not_the_text_model():
    other = make_spec().model_copy(update={"identity": {"pinned": {"asr": "v" * 64}}})
    after = addresses(other)
    assert {c.split(".")[0] for c in changed(addresses(make_spec()), after)} == {"asr", "cascade"}


@pytest.mark.parametrize("update", [{"bootstrap_samples": 200}, {"seed": 1}, {"latency_items": 3}])
def test_what_only_scores_or_times_costs_no_inference(update):
    assert addresses(make_spec()) == addresses(make_spec(), EvaluateConfig(**update))


@pytest.mark.parametrize("update", [{"max_items": 5}, {"max_new_tokens": 5}])
def test_what_changes_predictions_changes_cells(update):
    assert changed(addresses(make_spec()), addresses(make_spec(), EvaluateConfig(**update)))


def test_a_cell_counts_once_it_is_published(tmp_path):
    cell = plan_cell(make_spec(tmp_path), EvaluateConfig(), "aura", "heldout", "transcribe")
    predictions = [Prediction(id="ä-1", references=("one\nline",), prediction="two\u2028lines")]
    assert not is_complete(cell)
    publish_cell(cell, predictions)
    assert is_complete(cell)
    assert load_cell(cell) == predictions
