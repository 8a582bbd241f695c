"""How pages name models, metrics and benchmarks, write their figures, and look."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aura_core.config.benchmarks import BENCHMARKS
from aura_core.evaluation.results import LATENCY, Row

# Colours of the page for models it does not know.
_OTHER_COLOURS = 4
# Split names that say most, best first; else the first split by name.
_PREFERRED_SPLITS = ("heldout", "test", "validation")


@dataclass(frozen=True)
class ModelLabel:
    """How the page names a model; `colour` is a variable of its style sheet."""

    name: str
    title: str
    subtitle: str
    colour: str
    in_words: str


@dataclass(frozen=True)
class Metric:
    """How the page shows a metric."""

    title: str
    unit: str  # "%" of a share, "ms", or "" for a number as it is
    lower_is_better: bool
    top: float | None = 1.0  # the end of its scale; None: the largest figure

    @property
    def direction(self) -> str:
        """Which figure is good, in words: `%, lower is better`."""
        better = f"{'lower' if self.lower_is_better else 'higher'} is better"
        return ", ".join(filter(None, (self.unit, better)))

    @property
    def axis(self) -> str:
        """What stands beside its axis in a chart."""
        return ", ".join(filter(None, (self.title, self.unit)))


MODELS: dict[str, ModelLabel] = {
    name: ModelLabel(name, title, subtitle, name, in_words)
    for name, title, subtitle, in_words in (
        ("aura", "AuRA", "speech → LLM", "AuRA"),
        ("no_distillation", "No distillation", "AuRA without a teacher", "AuRA undistilled"),
        ("bridge", "Bridge", "speech → ASR encoder → MLP → LLM", "the bridge"),
        ("cascade", "Cascade", "speech → ASR → LLM", "the cascade"),
        ("text", "Text in", "upper bound: the true transcript → LLM", "text in"),
        ("asr", "ASR alone", "speech → ASR", "the ASR alone"),
        ("base", "Base LLM", "text → the LLM as it came", "the base LLM"),
    )
}
# Models that are no rivals of AuRA: two are given the words, the other answers nothing.
NOT_RIVALS = ("text", "asr", "base")


def _share(title: str, lower_is_better: bool = False) -> Metric:
    return Metric(title, "%", lower_is_better, None if lower_is_better else 1.0)


METRICS: dict[str, Metric] = {
    "wer": _share("Word error rate", lower_is_better=True),
    "exact_match": _share("Exact match"),
    "slot_f1": _share("Slot F1"),
    "intent_accuracy": _share("Intent accuracy"),
    "acc": _share("Accuracy"),
    "acc_random_fallback": _share("Accuracy, random letter if unparsed"),
    "parse_fail": _share("Answers not parsed", lower_is_better=True),
    "em": _share("Exact match"),
    "f1": _share("F1 of words"),
    "exist_match": _share("Answer found"),
    "pedant": _share("Judged equivalent (PEDANTS)"),
    "prompt_strict": _share("Prompts followed, strict"),
    "prompt_loose": _share("Prompts followed, loose"),
    "instruction_strict": _share("Instructions followed, strict"),
    "instruction_loose": _share("Instructions followed, loose"),
    "refusal_rate": _share("Refused"),
    "refusal_rate_opening": _share("Refused in the opening"),
    "slu_f1": _share("SLU-F1"),
    "word_f1": _share("Entity F1 by words"),
    "char_f1": _share("Entity F1 by characters"),
    "entity_f1": _share("Entity F1, exact"),
    "bleu": Metric("BLEU", "", lower_is_better=False, top=100.0),
    "judge_score": Metric("Grade by the judge", "of 5", lower_is_better=False, top=5.0),
    "perplexity": Metric("Perplexity", "", lower_is_better=True, top=None),
    "judge_fail": _share("Replies without a grade", lower_is_better=True),
    "ttft_ms_p50": Metric("Time to first token, median", "ms", lower_is_better=True, top=None),
    "ttft_ms_p95": Metric("Time to first token, p95", "ms", lower_is_better=True, top=None),
}

TASKS = {
    "transcribe": "Write down what was said",
    "respond": "Say what is wanted",
    LATENCY: "Time to first token",
}


def model_label(name: str) -> ModelLabel:
    """The label of a model, known to this page or not."""
    # The same on every page, whatever else is compared.
    other = f"other-{zlib.crc32(name.encode()) % _OTHER_COLOURS}"
    return MODELS.get(name, ModelLabel(name, name, "", other, name))


def models_in(names: Iterable[str]) -> list[ModelLabel]:
    """Labels of the models, each once, in the order of the columns."""
    return [model_label(name) for name in sorted(set(names), key=rank(MODELS))]


def metric_of(name: str) -> Metric:
    """How to show a metric, known to this page or not (then a share, higher is better)."""
    return METRICS.get(name, Metric(name, "%", lower_is_better=False))


def split_task(task: str) -> tuple[str, str]:
    """Divide a row's `<task>/<split>`; a benchmark and latency have no split."""
    name, _, split = task.partition("/")
    return name, split


def benchmark_title(task: str) -> str:
    """What a row's `task` is called: `heldout` of a split, a benchmark's title."""
    name, split = split_task(task)
    known = BENCHMARKS.get(split or name)
    return known.title if known else split or TASKS.get(name, name)


def preferred_split(splits: Iterable[str]) -> str:
    """The split that says most; at least one is needed."""
    found = sorted(set(splits))
    return next((split for split in _PREFERRED_SPLITS if split in found), found[0])


def format_value(value: float, metric: Metric) -> str:
    """Write a value in its metric's unit, without the unit."""
    if metric.unit == "%":
        return f"{100 * value:.1f}"
    if metric.unit == "ms":
        return f"{value:,.0f}"
    return f"{value:.1f}" if (metric.top or 0) > 10 else f"{value:.2f}"


def format_tick(value: float, metric: Metric) -> str:
    """Write a value beside an axis, where whole points of a share will do."""
    return f"{100 * value:.0f}" if metric.unit == "%" else format_value(value, metric)


def format_difference(value: float, metric: Metric) -> str:
    """Write a difference with its sign, in points of a share or in the metric's own unit."""
    text = format_value(abs(value), metric)
    is_zero = not any(digit in text for digit in "123456789")
    sign = "+" if value > 0 else "\N{MINUS SIGN}"
    return text if is_zero else sign + text


def difference_unit(metric: Metric) -> str:
    """The unit of a difference."""
    return "ms" if metric.unit == "ms" else "points"


def sort_key(task: str, metric: str, model: str) -> tuple[tuple[int, str], ...]:
    """The order of figures: tasks of the corpus, benchmarks, latency; then metric, split, model."""
    name, split = split_task(task)
    place = 2 if name == LATENCY else int(name not in TASKS)
    return (
        (place, ""),
        rank(TASKS)(name),
        rank(METRICS)(metric),
        (0, split),
        rank(MODELS)(model),
    )


def row_key(row: Row) -> tuple[tuple[int, str], ...]:
    """The order of a result row among others."""
    return sort_key(row.task, row.metric, row.model)


def rank(known: Mapping[str, Any]) -> Callable[[str], tuple[int, str]]:
    """Order names as in `known`, and strangers by name after them."""
    order = {name: i for i, name in enumerate(known)}
    return lambda name: (order.get(name, len(order)), name)


# The look that the report and the page of `aura demo` share: one stylesheet, light and dark.

BASE_CSS = Path(__file__).with_name("base.css")
