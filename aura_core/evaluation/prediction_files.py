"""The predictions beside an evaluation's results: which model, and what it was asked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aura_core.artifacts import store
from aura_core.config.benchmarks import BENCHMARKS
from aura_core.evaluation.items import BENCHMARK, TASK_SCORERS
from aura_core.evaluation.results import Row
from aura_core.evaluation.scorers.by_name import SCORERS, find_scorer
from aura_core.evaluation.scorers.scorer import Prediction, Scorer, read_predictions

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
