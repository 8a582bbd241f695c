"""The result table as it is shown: models as columns, split x metric as rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aura_core.evaluation.table import Row

LATENCY = "latency"


@dataclass(frozen=True)
class ModelLabel:
    """How the page names a model."""

    name: str
    title: str
    subtitle: str


@dataclass(frozen=True)
class Metric:
    """How the page shows a metric."""

    title: str
    unit: str  # "%" (of a share), "ms", or a scale of its own
    lower_is_better: bool
    top: float = 1.0  # the best there is, where more is better


@dataclass(frozen=True)
class Figure:
    """One cell of the table; positions are shares of the row's scale."""

    model: str
    value: str
    interval: str
    seeds: str  # the figure of each seed, if there are several
    position: float
    low: float
    high: float
    is_better: bool
    is_clear: bool


@dataclass(frozen=True)
class Line:
    """One row of the table: a metric on a split."""

    split: str
    metric: Metric
    n: int
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Section:
    """The rows of one task."""

    title: str
    lines: list[Line]


MODELS: dict[str, ModelLabel] = {
    "aura": ModelLabel("aura", "AuRA", "speech → LLM"),
    "no_distillation": ModelLabel("no_distillation", "No distillation", "AuRA without a teacher"),
    "bridge": ModelLabel("bridge", "Bridge", "speech → ASR encoder → MLP → LLM"),
    "cascade": ModelLabel("cascade", "Cascade", "speech → ASR → LLM"),
    "text": ModelLabel("text", "Text in", "upper bound: the true transcript → LLM"),
    "asr": ModelLabel("asr", "ASR alone", "speech → ASR"),
}

METRICS: dict[str, Metric] = {
    "wer": Metric("Word error rate", "%", lower_is_better=True),
    "exact_match": Metric("Exact match", "%", lower_is_better=False),
    "slot_f1": Metric("Slot F1", "%", lower_is_better=False),
    "intent_accuracy": Metric("Intent accuracy", "%", lower_is_better=False),
    "acc": Metric("Accuracy", "%", lower_is_better=False),
    "acc_random_fallback": Metric("Accuracy, unparsed drawn", "%", lower_is_better=False),
    "parse_fail": Metric("Answers not parsed", "%", lower_is_better=True),
    "exist_match": Metric("Answer occurs", "%", lower_is_better=False),
    "em": Metric("Exact match, SQuAD", "%", lower_is_better=False),
    "f1": Metric("Word F1", "%", lower_is_better=False),
    "prompt_strict": Metric("Prompts followed, strict", "%", lower_is_better=False),
    "prompt_loose": Metric("Prompts followed, loose", "%", lower_is_better=False),
    "instruction_strict": Metric("Instructions followed, strict", "%", lower_is_better=False),
    "instruction_loose": Metric("Instructions followed, loose", "%", lower_is_better=False),
    "refusal_rate": Metric("Refused", "%", lower_is_better=False),
    "refusal_rate_opening": Metric("Refused from the start", "%", lower_is_better=False),
    "bleu": Metric("BLEU", "BLEU", lower_is_better=False, top=100.0),
    "slu_f1": Metric("SLU-F1", "%", lower_is_better=False),
    "word_f1": Metric("Word-F1 of entities", "%", lower_is_better=False),
    "char_f1": Metric("Character-F1 of entities", "%", lower_is_better=False),
    "entity_f1": Metric("F1 of exact entities", "%", lower_is_better=False),
    "pedant": Metric("Right answers, PEDANTS", "%", lower_is_better=False),
    "judge_score": Metric("Grade by the judge", "of 5", lower_is_better=False, top=5.0),
    "judge_fail": Metric("Answers not graded", "%", lower_is_better=True),
    "ttft_ms_p50": Metric("Time to first token, median", "ms", lower_is_better=True),
    "ttft_ms_p95": Metric("Time to first token, p95", "ms", lower_is_better=True),
}

TASKS = {
    "transcribe": "Write down what was said",
    "respond": "Say what is wanted",
    LATENCY: "Answer quickly",
}


def model_label(name: str) -> ModelLabel:
    """The label of a model, known to this page or not."""
    return MODELS.get(name, ModelLabel(name, name, ""))


def models_in(rows: Sequence[Row]) -> list[ModelLabel]:
    """The models that have rows, in the order of the columns."""
    names = {row.model for row in rows}
    return [model_label(name) for name in sorted(names, key=_rank(MODELS))]


def build_grid(rows: Sequence[Row]) -> list[Section]:
    """Arrange result rows by task, then metric, then split and slice."""
    ordered = sorted(rows, key=_row_key)
    tops = {
        name: _top([row for row in rows if row.metric == name])
        for name in {row.metric for row in rows}
    }
    return [
        Section(
            TASKS.get(task, task),
            [
                _line(list(group), tops[metric])
                for (metric, *_), group in groupby(
                    of_task, key=lambda row: (row.metric, row.task, row.slice)
                )
            ],
        )
        for task, of_task in groupby(ordered, key=lambda row: task_of(row)[0])
    ]


def task_of(row: Row) -> tuple[str, str]:
    """Split a row's `<task>/<split>`; latency has no split."""
    task, _, split = row.task.partition("/")
    return task, split


def format_value(value: float, metric: Metric) -> str:
    """Write a value in its metric's unit, without the unit."""
    if metric.unit == "%":
        return f"{100 * value:.1f}"
    return f"{value:,.0f}" if metric.unit == "ms" else f"{value:.2f}"


def metric_of(name: str) -> Metric:
    """How to show a metric, known to this page or not (then a share, higher is better)."""
    return METRICS.get(name, Metric(name, "%", lower_is_better=False))


def _top(rows: Sequence[Row]) -> float:
    """The end of a metric's scale, one for all splits: the best there is where more is better."""
    metric = metric_of(rows[0].metric)
    if not metric.lower_is_better:
        return metric.top
    return max(row.ci_high for row in rows) or 1.0


def _line(rows: list[Row], top: float) -> Line:
    metric = metric_of(rows[0].metric)
    better = _better(rows, metric)
    return Line(
        split=" ".join(filter(None, (task_of(rows[0])[1], rows[0].slice))),
        metric=metric,
        n=rows[0].n,
        figures={row.model: _figure(row, metric, top, better, rows) for row in rows},
    )


def _figure(row: Row, metric: Metric, top: float, better: Row | None, rows: list[Row]) -> Figure:
    low, high = format_value(row.ci_low, metric), format_value(row.ci_high, metric)
    return Figure(
        model=row.model,
        value=format_value(row.value, metric),
        interval=f"{low}\u2009-\u2009{high}".replace("-", "\u2013"),
        seeds=" ".join(format_value(value, metric) for value in row.by_seed or ()),
        position=round(row.value / top, 4),
        low=round(row.ci_low / top, 4),
        high=round(row.ci_high / top, 4),
        is_better=row is better,
        is_clear=row is better and not _rivals_overlap(rows),
    )


def _better(rows: list[Row], metric: Metric) -> Row | None:
    """The better of AuRA and the cascade; none where one is missing or they tie."""
    rivals = _rivals(rows)
    if len(rivals) < 2 or rivals[0].value == rivals[1].value:
        return None
    pick = min if metric.lower_is_better else max
    return pick(rivals, key=lambda row: row.value)


def _rivals_overlap(rows: list[Row]) -> bool:
    one, other = _rivals(rows)
    return one.ci_low <= other.ci_high and other.ci_low <= one.ci_high


def _rivals(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.model in ("aura", "cascade")]


def _row_key(row: Row) -> tuple[tuple[int, str], ...]:
    task, split = task_of(row)
    return (
        _rank(TASKS)(task),
        _rank(METRICS)(row.metric),
        (0, split),
        (0, row.slice or ""),
        _rank(MODELS)(row.model),
    )


def _rank(known: Mapping[str, Any]) -> Callable[[str], tuple[int, str]]:
    """Order names as in `known`, and strangers by name after them."""
    order = {name: i for i, name in enumerate(known)}
    return lambda name: (order.get(name, len(order)), name)
