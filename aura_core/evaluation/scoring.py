"""From predictions to rows: every scorer by its name, and slices of what is scored.

Changing this needs no inference: predictions are what is cached.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.benchmarks import BENCHMARKS, SCORER_VERSIONS
from aura_core.errors import AuraError
from aura_core.evaluation import bootstrap
from aura_core.evaluation.bootstrap import Statistic
from aura_core.evaluation.items import BENCHMARK, TASK_SCORERS, TRANSCRIPTION
from aura_core.evaluation.results import Row
from aura_core.evaluation.scorers.choice import score_bbh, score_choice
from aura_core.evaluation.scorers.instructions import score_instructions
from aura_core.evaluation.scorers.meaning import score_intent, score_meaning, score_slu_f1
from aura_core.evaluation.scorers.open_answers import named_judge, score_judge, score_refusal
from aura_core.evaluation.scorers.scorer import Prediction, Score, Scorer, read_predictions
from aura_core.evaluation.scorers.short_answers import (
    load_matcher,
    score_exist_match,
    score_pedant,
    score_squad,
)
from aura_core.evaluation.scorers.transcript import score_bleu, score_perplexity, score_wer
from aura_core.ingest.utterances import read_table

# Every scorer by its name.


def _scorer(name: str, score: Score, primary: str, require: Callable[[], object] = bool) -> Scorer:
    return Scorer(name, SCORER_VERSIONS[name], score, primary, require)


_ALL = (
    _scorer("wer", score_wer, "wer"),
    _scorer("meaning", score_meaning, "exact_match"),
    _scorer("choice", score_choice, "acc"),
    _scorer("exist_match", score_exist_match, "exist_match"),
    _scorer("squad", score_squad, "f1"),
    _scorer("instructions", score_instructions, "prompt_strict"),
    _scorer("refusal", score_refusal, "refusal_rate"),
    _scorer("bbh", score_bbh, "acc"),
    _scorer("bleu", score_bleu, "bleu"),
    _scorer("intent", score_intent, "intent_accuracy"),
    _scorer("slu_f1", score_slu_f1, "slu_f1"),
    _scorer("pedant", score_pedant, "pedant", load_matcher),
    _scorer("judge", score_judge, "judge_score", named_judge),
    _scorer("perplexity", score_perplexity, "perplexity"),
)
SCORERS: dict[str, Scorer] = {scorer.name: scorer for scorer in _ALL}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]


# The predictions beside an evaluation's results: which model, and what it was asked.

FOLDER = "predictions"
_SEED = re.compile(r"(?P<model>.+)-seed-(?P<seed>-?\d+)")

# A row's `task` -> model -> the predictions of each seed of training by utterance.
Answers = dict[str, dict[str, list[dict[str, Prediction]]]]


@dataclass(frozen=True)
class PredictionFile:
    """One file: `model` and `task` are those of the rows that it makes."""

    model: str
    seed: int | None  # None: of the student every run has, or of a model without one
    task: str


def parse_name(name: str, benchmarks: Iterable[str]) -> PredictionFile:
    """Read a file's name.

    Args:
        name: `<model>.<split>.<task>.jsonl` of the corpus, `<model>.<benchmark>.jsonl`, or
            `<model>.<benchmark>.transcribe.jsonl`; further students are `<model>-seed-<n>`.
        benchmarks: names of the evaluation's benchmarks.
    """
    label, _, asked = name.removesuffix(".jsonl").partition(".")
    match = _SEED.fullmatch(label)
    model, seed = (match["model"], int(match["seed"])) if match else (label, None)
    source, _, task = asked.rpartition(".")
    if asked in benchmarks:
        return PredictionFile(model, seed, asked)
    return PredictionFile(model, seed, f"{task}/{source}")


def read_answers(evaluate_uri: str, inputs: Mapping[str, str]) -> Answers:
    """Read every prediction of an evaluation, seeds in their order.

    Args:
        evaluate_uri: its artifact.
        inputs: its inputs, role -> URI: they tell a benchmark from a split.

    Raises:
        AuraError: naming a line that is damaged.
    """
    benchmarks = benchmark_names(inputs)
    folder = store.join(evaluate_uri, FOLDER)
    files = {name: parse_name(name, benchmarks) for name in store.list_names(folder)}
    answers: Answers = {}
    for name, file in sorted(files.items(), key=lambda item: (item[1].task, _seed_rank(item[1]))):
        predictions = read_predictions(store.join(folder, name))
        by_model = answers.setdefault(file.task, {})
        by_model.setdefault(file.model, []).append({each.id: each for each in predictions})
    return answers


def benchmark_names(inputs: Iterable[str]) -> list[str]:
    """Names of the benchmarks among the inputs of an evaluation."""
    return [name.removeprefix(BENCHMARK) for name in inputs if name.startswith(BENCHMARK)]


def scorer_of(task: str) -> Scorer | None:
    """How the rows of a `task` were scored; None for what is not known here."""
    kind, _, split = task.partition("/")
    if split:
        name = TASK_SCORERS.get(kind)
    else:
        name = BENCHMARKS[task].scorer if task in BENCHMARKS else None
    return find_scorer(name) if name in SCORERS else None


def primary_metrics(rows: Sequence[Row]) -> dict[str, str]:
    """A row's `task` -> the metric that models are compared by; else its first."""
    found: dict[str, str] = {}
    for row in rows:
        scorer = scorer_of(row.task)
        found.setdefault(row.task, scorer.primary if scorer else row.metric)
    return found


def _seed_rank(file: PredictionFile) -> tuple[int, int]:
    """The student every run has comes first."""
    return (0, 0) if file.seed is None else (1, file.seed)


# Slices of a benchmark: the utterances that share a value, such as `snr_db=10`.

# The key that stands for `duration_s`, in ranges.
LENGTH = "length"
_UNKNOWN = "unknown"
_LENGTHS_S = ((2.0, "<2 s"), (5.0, "2-5 s"), (15.0, "5-15 s"))
_LONGEST = ">15 s"


def positions(predictions: Sequence[Prediction], key: str) -> dict[str, list[int]]:
    """Group utterances by what they say of a key in `extra`.

    Args:
        predictions: of one benchmark.
        key: a key of `extra` with plain values, or `length` for ranges of `duration_s`.

    Returns:
        `key=value` -> positions in `predictions`, numbers in their order. Those that do not
        say stand under `key=unknown`; nothing at all if none says.

    Raises:
        AuraError: if a value is a list or an object.
    """
    values = [_value(prediction, key) for prediction in predictions]
    if all(value is None for value in values):
        return {}
    grouped: dict[str, list[int]] = {}
    for position in sorted(range(len(values)), key=lambda i: _rank(values[i])):
        grouped.setdefault(f"{key}={_title(key, values[position])}", []).append(position)
    return {title: sorted(found) for title, found in grouped.items()}


def _value(prediction: Prediction, key: str) -> JsonValue:
    value = prediction.extra.get("duration_s" if key == LENGTH else key)
    if isinstance(value, list | dict):
        raise AuraError(f"cannot slice by {key!r}: {prediction.id} has more than one value of it")
    if key == LENGTH and value is not None and not _is_duration(value):
        raise AuraError(f"cannot slice by length: {prediction.id} has the duration_s {value!r}")
    return value


def _is_duration(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _title(key: str, value: JsonValue) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    if key != LENGTH:
        return f"{value:g}"
    # 15 s sharp belong to the range that names them last.
    if value > _LENGTHS_S[-1][0]:
        return _LONGEST
    return next((title for bound, title in _LENGTHS_S if value < bound), _LENGTHS_S[-1][1])


def _rank(value: JsonValue) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what is unknown."""
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, str(value))


# References that an ASR wrote: a word error rate against them is a distance from that ASR.


def reference_writers(ingest_uri: str, splits: Iterable[str]) -> dict[str, str]:
    """A row's `task` -> the ASR that wrote references of it, for the splits where one did.

    Raises:
        AuraError: if the ingest artifact is incomplete.
    """
    table = read_table(ingest_uri, columns=["split", "avg_logprob"])
    # Only a transcript by the ASR has a log-probability.
    written = {row["split"] for row in table.to_pylist() if row["avg_logprob"] is not None}
    found = sorted(written & set(splits))
    if not found:
        return {}
    asr = str(require_manifest(ingest_uri).identity["asr"])
    return {f"{TRANSCRIPTION}/{split}": asr for split in found}


def judges_itself(ingest_uri: str, asr_digest: str) -> bool:
    """Whether the ASR that wrote the references is the one of this content that is evaluated."""
    return bool(require_manifest(ingest_uri).identity["pinned"]["asr"] == asr_digest)


# metric -> its statistic, one a seed of training
BySeed = Mapping[str, Sequence[Statistic]]


def compute(scorer: Scorer, by_seed: Sequence[Sequence[Prediction]]) -> BySeed:
    """The statistics of each metric, one a seed, utterances in their order.

    Raises:
        AuraError: if the scorer cannot score these predictions.
    """
    scored = [scorer.score(predictions) for predictions in by_seed]
    return {metric: [each[metric] for each in scored] for metric in scored[0]}


def make_rows(
    model: str,
    benchmark: str,
    statistics: BySeed,
    predictions: Sequence[Prediction],
    samples: int,
    seed: int,
    slices: Sequence[str] = (),
) -> list[Row]:
    """Every metric of a model on a benchmark, over all utterances and over each slice.

    Args:
        model, benchmark: what was scored, for example `aura` and `transcribe/heldout`.
        statistics: what `compute` made of its predictions.
        predictions: those of any one seed.
        samples, seed: the bootstrap's.
        slices: keys of `extra`, each value of which gets rows; `length` for durations.

    Raises:
        AuraError: if a slice is not one.
    """
    chosen: dict[str | None, list[int]] = {None: list(range(len(predictions)))}
    for key in slices:
        found = positions(predictions, key)
        # One slice is the whole again.
        chosen.update(found if len(found) > 1 else {})
    rows = []
    for title, utterances in chosen.items():
        for metric, by_seed in statistics.items():
            row = _row(model, benchmark, metric, by_seed, utterances, samples, seed)
            rows += [row.model_copy(update={"slice": title})] if row else []
    return rows


def score_latency(model: str, ttft_ms: Sequence[float], samples: int, seed: int) -> list[Row]:
    """The median and the 95th percentile of the time to first token."""
    values = np.array(ttft_ms, dtype=np.float64)
    rows = []
    for percent in (50, 95):
        value, low, high = bootstrap.quantile(values, percent / 100, samples, seed)
        rows.append(
            Row(
                model=model, task="latency", metric=f"ttft_ms_p{percent}",
                value=value, ci_low=low, ci_high=high, n=len(values),
            )
        )  # fmt: skip
    return rows


def _row(
    model: str,
    benchmark: str,
    metric: str,
    by_seed: Sequence[Statistic],
    utterances: Sequence[int],
    samples: int,
    seed: int,
) -> Row | None:
    """None where the metric does not exist on these utterances."""
    selected = [statistic.select(utterances) for statistic in by_seed]
    found = bootstrap.estimate(selected, samples, seed)
    if found is None:
        return None
    by_seed_values = [statistic.value for statistic in selected]
    # A metric that one seed does not have cannot be written for each.
    listed = len(selected) > 1 and not np.isnan(by_seed_values).any()
    return Row(
        model=model,
        task=benchmark,
        metric=metric,
        value=found.value,
        ci_low=found.low,
        ci_high=found.high,
        n=len(utterances),
        by_seed=by_seed_values if listed else None,
    )
