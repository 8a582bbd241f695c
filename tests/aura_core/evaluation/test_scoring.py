import pytest

from aura_core.evaluation import scoring
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.table import SCORERS


def score(scorer, pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=prediction)
        for i, (reference, prediction) in enumerate(pairs)
    ]
    rows = scoring.score("aura", "some/test", SCORERS[scorer], [predictions], samples=100, seed=0)
    return {row.metric: row for row in rows}


def test_transcripts_get_a_wer():
    rows = score("wer", [("a b", "a b"), ("c d", "c")])
    assert rows.keys() == {"wer"}
    row = rows["wer"]
    assert (row.model, row.task, row.value, row.n) == ("aura", "some/test", 0.25, 2)
    assert row.ci_low <= 0.25 <= row.ci_high


def test_several_seeds_make_one_row_with_a_figure_of_each():
    right, wrong = (
        [Prediction(id="a", references=("a b",), prediction=text)] for text in ("a b", "a")
    )
    (row,) = scoring.score("aura", "b", SCORERS["wer"], [right, wrong], samples=100, seed=0)
    assert (row.value, row.n, row.by_seed) == (0.25, 1, [0.0, 0.5])
    assert (row.ci_low, row.ci_high) == (0.0, 0.5)


def test_meanings_get_exact_match_slot_f1_and_intent_accuracy():
    rows = score("meaning", [("a; x=1; y=2", "a; y=2; x=1"), ("b; x=1", "c; x=1")])
    values = {metric: row.value for metric, row in rows.items()}
    assert values == {"exact_match": 0.5, "slot_f1": 1.0, "intent_accuracy": 0.5}


def test_free_answers_get_a_normalised_exact_match_only():
    rows = score("meaning", [("Twenty.", "20"), ("Paris", "London")])
    assert {metric: row.value for metric, row in rows.items()} == {"exact_match": 0.5}


def test_without_a_reference_word_there_is_no_wer():
    assert score("wer", [("", "a")]) == {}


def test_latency_is_its_median_and_tail():
    low, high = scoring.score_latency("aura", [10.0, 20.0, 30.0], samples=100, seed=0)
    assert (low.metric, low.value, low.n) == ("ttft_ms_p50", 20.0, 3)
    assert high.metric == "ttft_ms_p95"
    assert high.value == pytest.approx(29.0)


def test_each_slice_has_rows_of_its_own():
    predictions = [
        Prediction(id=str(i), references=("a",), prediction=text, extra={"snr_db": snr_db})
        for i, (text, snr_db) in enumerate([("a", 20), ("b", 5), ("a", 5)])
    ]
    rows = scoring.score(
        "aura", "b", SCORERS["wer"], [predictions], samples=100, seed=0, slices=["snr_db", "voice"]
    )
    figures = [(row.slice, row.metric, row.value, row.n) for row in rows]
    assert figures == [
        (None, "wer", pytest.approx(1 / 3), 3),
        ("snr_db=5", "wer", 0.5, 2),
        ("snr_db=20", "wer", 0.0, 1),
    ]


def test_a_seed_without_the_metric_leaves_the_others_a_row_that_can_be_written():
    some, none = (
        [Prediction(id="a", references=("i; x=1",), prediction="i; x=1")],
        [Prediction(id="a", references=("i",), prediction="i")],
    )
    rows = scoring.score("aura", "b", SCORERS["slu_f1"], [some, none], samples=100, seed=0)
    assert {(row.value, row.by_seed) for row in rows} == {(1.0, None)}
