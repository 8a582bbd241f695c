import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.config.benchmarks import SCORER_VERSIONS
from aura_core.errors import AuraError
from aura_core.evaluation import scoring
from aura_core.evaluation.results import Row
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions
from aura_core.evaluation.scoring import (
    SCORERS,
    PredictionFile,
    find_scorer,
    judges_itself,
    parse_name,
    positions,
    primary_metrics,
    read_answers,
    reference_writers,
    scorer_of,
)
from aura_core.ingest.utterances import write_table
from tests.utterance_rows import utterance_row


def test_every_scorer_has_a_version_and_every_version_a_scorer():
    assert {name: scorer.version for name, scorer in SCORERS.items()} == SCORER_VERSIONS


# The two that ask somebody else have tests of their own.
LOCAL = sorted(SCORERS.keys() - {"judge", "pedant"})
# What each scorer wants to know of an item.
FACTS = {
    "instruction_id_list": ["punctuation:no_comma", "language:response_language"],
    "kwargs": [{}, {"language": "en"}],
    "task": "navigate",
    "target_language": "de",
}
REFERENCE = {"choice": "B", "bbh": "yes", "meaning": "alarm; time=ten"}
CHOICES = {"A": "the dog", "B": "a man", "C": "nine"}
ANSWERS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["B", "The answer is (A).", "yes", "No.", "alarm; time=ten", "a man bit the dog"]
    ),
)


def likelihood(text):
    return json.dumps({"nats": 2.5 * len(text), "tokens": len(text)})


def items(scorer, answers):
    return [
        Prediction(
            id=f"q{i}", references=(REFERENCE.get(scorer, "the dog bit a man"),),
            prediction=likelihood(answer) if scorer == "perplexity" else answer,
            choices=CHOICES, extra=FACTS,
        )
        for i, answer in enumerate(answers)
    ]  # fmt: skip


@pytest.mark.parametrize("name", LOCAL)
@settings(deadline=None, max_examples=25)
@given(st.lists(ANSWERS, min_size=2, max_size=5), st.randoms())
def test_order_and_batches_change_nothing(name, answers, random):
    scorer = SCORERS[name]
    predictions = items(name, answers)
    whole = scorer.score(predictions)
    order = random.sample(range(len(predictions)), len(predictions))
    turned = scorer.score([predictions[i] for i in order])
    apart = [scorer.score([prediction]) for prediction in predictions]
    assert scorer.primary in whole
    for metric, statistic in whole.items():
        np.testing.assert_array_equal(statistic.columns[order], turned[metric].columns)
        joined = np.concatenate([each[metric].columns for each in apart])
        np.testing.assert_array_equal(statistic.columns, joined)
        assert turned[metric].value == pytest.approx(statistic.value, nan_ok=True)


@pytest.mark.parametrize("name", LOCAL)
def test_without_items_there_is_no_figure(name):
    assert all(np.isnan(statistic.value) for statistic in SCORERS[name].score([]).values())


def test_every_scorer_knows_its_own_name():
    assert {name: scorer.name for name, scorer in SCORERS.items()} == {n: n for n in SCORERS}


def test_an_unknown_scorer_is_named_with_those_there_are():
    assert find_scorer("wer") is SCORERS["wer"]
    with pytest.raises(AuraError, match="no scorer 'werr': there are wer, meaning"):
        find_scorer("werr")


def spoken(*extras):
    return [
        Prediction(id=f"u{i}", references=("a",), prediction="a", extra=extra)
        for i, extra in enumerate(extras)
    ]


def test_numbers_come_in_their_order_and_the_unknown_last():
    predictions = spoken({"snr_db": 10}, {}, {"snr_db": -5.0}, {"snr_db": 10.0}, {"snr_db": None})
    found = positions(predictions, "snr_db")
    assert list(found.items()) == [
        ("snr_db=-5", [2]),
        ("snr_db=10", [0, 3]),
        ("snr_db=unknown", [1, 4]),
    ]


def test_texts_and_truth_values_are_slices_too():
    found = positions(spoken({"v": "joe"}, {"v": True}, {"v": "amy"}), "v")
    assert found == {"v=amy": [2], "v=joe": [0], "v=true": [1]}


def test_a_key_that_nothing_has_makes_no_slice():
    assert positions(spoken({}, {"voice": "joe"}), "snr_db") == {}


def test_durations_are_put_into_ranges():
    durations = (0.5, 2, 4.99, 5, 15, 15.1)
    found = positions(spoken(*({"duration_s": d} for d in durations)), "length")
    assert list(found.items()) == [
        ("length=<2 s", [0]),
        ("length=2-5 s", [1, 2]),
        ("length=5-15 s", [3, 4]),
        ("length=>15 s", [5]),
    ]


@pytest.mark.parametrize(("key", "value"), [("tags", ["a"]), ("length", "long"), ("length", True)])
def test_what_cannot_be_sliced_is_named(key, value):
    name = "duration_s" if key == "length" else key
    with pytest.raises(AuraError, match=rf"cannot slice by .*{key}.*u1"):
        positions(spoken({}, {name: value}), key)


@pytest.fixture
def ingest(tmp_path):
    """A corpus with one transcript of the ASR in `heldout` and none in `voice`."""
    rows = [
        utterance_row(f"{split}{number}", split=split, avg_logprob=logprob)
        for split, logprobs in {"heldout": (None, -0.3), "voice": (None,)}.items()
        for number, logprob in enumerate(logprobs)
    ]
    write_table(str(tmp_path), rows)
    write_manifest(
        str(tmp_path),
        Manifest(stage="ingest", stage_version=1, fingerprint="f", inputs={}, files=[],
                 identity={"asr": "whisper:small", "pinned": {"asr": "abc"}}),
    )  # fmt: skip
    return str(tmp_path)


def test_one_transcript_of_an_asr_is_enough(ingest):
    found = reference_writers(ingest, ["heldout", "voice"])
    assert found == {"transcribe/heldout": "whisper:small"}
    assert reference_writers(ingest, ["voice"]) == {}


def test_an_asr_is_known_by_its_content(ingest):
    assert judges_itself(ingest, "abc")
    assert not judges_itself(ingest, "abd")


def rows_of(model, benchmark, scorer, by_seed, slices=()):
    statistics = scoring.compute(SCORERS[scorer], by_seed)
    return scoring.make_rows(model, benchmark, statistics, by_seed[0], 100, 0, slices)


def score(scorer, pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=prediction)
        for i, (reference, prediction) in enumerate(pairs)
    ]
    rows = rows_of("aura", "some/test", scorer, [predictions])
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
    (row,) = rows_of("aura", "b", "wer", [right, wrong])
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
    rows = rows_of("aura", "b", "wer", [predictions], ["snr_db", "voice"])
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
    rows = rows_of("aura", "b", "slu_f1", [some, none])
    assert {(row.value, row.by_seed) for row in rows} == {(1.0, None)}


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
