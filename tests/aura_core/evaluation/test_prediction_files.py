import pytest

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.evaluation.prediction_files import (
    PredictionFile,
    parse_name,
    primary_metrics,
    read_answers,
    scorer_of,
)
from aura_core.evaluation.results import Row
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aura.heldout.respond.jsonl", ("aura", None, "respond/heldout")),
        ("aura-seed-12.test.other.transcribe.jsonl", ("aura", 12, "transcribe/test.other")),
        ("no_distillation-seed--1.spoken_choice.jsonl", ("no_distillation", -1, "spoken_choice")),
        ("asr.spoken_choice.transcribe.jsonl", ("asr", None, "transcribe/spoken_choice")),
    ],
)
def test_a_name_says_the_model_and_what_it_was_asked(name, found):
    assert parse_name(name, ["spoken_choice"]) == PredictionFile(*found)


def test_seeds_are_read_in_their_order(tmp_path):
    for label in ("bridge-seed-10", "bridge-seed-9", "bridge"):
        said = Prediction(id="x", references=("a",), prediction=label)
        write_predictions(f"{tmp_path}/predictions/{label}.spoken_choice.jsonl", [said])
    answers = read_answers(str(tmp_path), {"benchmark.spoken_choice": "somewhere"})
    seeds = answers["spoken_choice"]["bridge"]
    assert [found["x"].prediction for found in seeds] == [
        "bridge", "bridge-seed-9", "bridge-seed-10",
    ]  # fmt: skip


def test_nothing_predicted_is_nothing_read(tmp_path):
    assert read_answers(str(tmp_path), {}) == {}


def test_a_damaged_line_is_named(tmp_path):
    store.write_text(f"{tmp_path}/predictions/aura.a.respond.jsonl", "{}\n")
    with pytest.raises(AuraError, match=r"aura\.a\.respond\.jsonl line 1"):
        read_answers(str(tmp_path), {})


@pytest.mark.parametrize(
    ("task", "scorer"),
    [("transcribe/x", "wer"), ("respond/x", "meaning"), ("spoken_choice", "choice"),
     ("latency", None), ("mine", None), ("mine/x", None)],
)  # fmt: skip
def test_a_task_has_the_scorer_that_made_its_rows(task, scorer):
    found = scorer_of(task)
    assert (found and found.name) == scorer


def test_the_primary_metric_of_what_is_not_known_is_its_first():
    rows = [
        Row(model="aura", task=task, metric=metric, value=0, ci_low=0, ci_high=0, n=1)
        for task, metric in (("mine", "a"), ("mine", "b"), ("spoken_choice", "parse_fail"))
    ]
    assert primary_metrics(rows) == {"mine": "a", "spoken_choice": "acc"}
