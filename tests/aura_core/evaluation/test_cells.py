from dataclasses import replace

import pytest

from aura_core.config.run import EvaluateConfig
from aura_core.config.stage import Runtime
from aura_core.evaluation.cells import (
    is_complete,
    keep_part,
    kept_parts,
    load_cell,
    plan_cell,
    plan_cells,
    publish_cell,
)
from aura_core.evaluation.items import question_sets
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.stages import StageSpec

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
    sets = question_sets(tasks, spec.input_fingerprints)
    return {c.label: c.fingerprint for c in plan_cells(spec, config or EvaluateConfig(), sets)}


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
    cells = plan_cells(make_spec(**others), EvaluateConfig(), question_sets(tasks, ()))
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


def test_a_benchmark_adds_its_own_cells_and_a_new_corpus_leaves_them_alone():
    with_benchmark = {"benchmark.spoken_choice": "b" * 64}
    before, after = addresses(make_spec()), addresses(make_spec(**with_benchmark))
    assert before.items() <= after.items()
    own = {f"{model}.spoken_choice" for model in ("aura", "cascade", "text")}
    assert after.keys() - before.keys() == own | {"asr.spoken_choice.transcribe"}
    reingested = addresses(make_spec(ingest="j" * 64, **with_benchmark))
    assert not changed(after, reingested) & (after.keys() - before.keys())


def test_a_benchmark_says_how_long_an_answer_may_be():
    spec = make_spec(**{"benchmark.spoken_instructions": "b" * 64})
    before = addresses(spec)
    assert changed(before, addresses(spec, EvaluateConfig(max_new_tokens=5))) == {
        label for label in before if "heldout" in label or "voice" in label
    } - {"asr.heldout.transcribe", "asr.voice.transcribe"}


def test_parts_of_a_cell_are_kept_until_it_is_whole(cell):
    answers = [Prediction(id=str(i), references=("x",), prediction=f"no. {i}") for i in range(5)]
    keep_part(cell, answers[:2])
    keep_part(cell, answers[2:3])
    assert kept_parts(cell) == {"0": "no. 0", "1": "no. 1", "2": "no. 2"}
    assert not is_complete(cell)
    publish_cell(cell, answers)
    assert kept_parts(cell) == {}


@pytest.fixture
def cell(tmp_path):
    (questions,) = question_sets({"heldout": ["transcribe"]}, ())
    return plan_cell(make_spec(tmp_path), EvaluateConfig(), "aura", questions)


def test_a_cell_counts_once_it_is_published(cell):
    predictions = [Prediction(id="ä-1", references=("one\nline",), prediction="two\u2028lines")]
    assert not is_complete(cell)
    publish_cell(cell, predictions)
    assert is_complete(cell)
    assert load_cell(cell) == predictions


TEXTS = {"benchmark.text_choice": "b" * 64, "benchmark.text_perplexity": "c" * 64}


def test_texts_are_asked_of_the_llms_alone_and_run_no_other_cell():
    others = {"distil.merged.0": "e" * 64}
    before, after = addresses(make_spec(**others)), addresses(make_spec(**others, **TEXTS))
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {
        f"{model}.{name}"
        for model in ("base", "text", "aura", "merged-seed-0")
        for name in ("text_choice", "text_perplexity")
    }


def test_what_is_read_of_one_text_is_no_answer_to_another_reading():
    (choice,) = question_sets({}, ["benchmark.text_choice"])
    spec = make_spec(**TEXTS)
    read, heard = (
        plan_cell(spec, EvaluateConfig(), "aura", each, "distil").fingerprint
        for each in (choice, replace(choice, text_task=None))
    )
    assert read != heard
