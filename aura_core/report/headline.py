"""What was reached: a line for the terminal, the page's verdict, and its paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from aura_core.config.overrides import AURA
from aura_core.evaluation.bootstrap import MIN_UTTERANCES, SIGNIFICANCE, format_p
from aura_core.evaluation.results import LATENCY, Difference, Results, Row
from aura_core.report.labels import (
    MODELS,
    TASKS,
    Metric,
    ModelLabel,
    benchmark_title,
    difference_unit,
    format_difference,
    format_value,
    metric_of,
    model_label,
    preferred_split,
    rank,
    sort_key,
    split_task,
)

# Paired differences between AuRA and each rival, as a table and in words.

WINS, LOSES, OPEN = "wins", "loses", "open"
# Too few utterances for any of these.
FEW = "few"


@dataclass(frozen=True)
class PairedComparison:
    """AuRA minus a rival in one metric; `p` is empty where there are too few utterances."""

    rival: ModelLabel
    what: str
    value: str
    unit: str
    interval: str
    p: str
    n: int
    verdict: str


@dataclass(frozen=True)
class DuelLine:
    """One metric on one split or benchmark, against every rival."""

    where: str
    what: str
    by_rival: dict[str, PairedComparison]


@dataclass(frozen=True)
class RivalComparison:
    """How AuRA does against one rival, duels by their end."""

    rival: ModelLabel
    loses: list[PairedComparison]
    wins: list[PairedComparison]
    open: list[PairedComparison]
    few: list[PairedComparison]


def build_lines(differences: Sequence[Difference]) -> list[DuelLine]:
    """One line a metric, in the order of the result table."""
    ordered = sorted(differences, key=_key)
    lines = []
    for _, group in groupby(ordered, key=lambda each: (each.task, each.metric)):
        found = list(group)
        metric = metric_of(found[0].metric)
        lines.append(
            DuelLine(
                where=benchmark_title(found[0].task),
                what=f"{metric.title}, {difference_unit(metric)}",
                by_rival={each.other: _paired_comparison(each) for each in found},
            )
        )
    return lines


def build_verdicts(differences: Sequence[Difference]) -> list[RivalComparison]:
    """One a rival, in the order of the columns."""
    by_rival: dict[str, list[PairedComparison]] = {}
    for each in sorted(differences, key=_key):
        by_rival.setdefault(each.other, []).append(_paired_comparison(each))
    return [
        RivalComparison(
            model_label(name),
            *(
                [duel for duel in by_rival[name] if duel.verdict == end]
                for end in (LOSES, WINS, OPEN, FEW)
            ),
        )
        for name in sorted(by_rival, key=rank(MODELS))
    ]


def _paired_comparison(each: Difference) -> PairedComparison:
    metric = metric_of(each.metric)
    low, high = (format_difference(end, metric) for end in (each.ci_low, each.ci_high))
    return PairedComparison(
        rival=model_label(each.other),
        what=f"{metric.title.lower() if metric.unit == '%' else metric.title} on "
        f"{benchmark_title(each.task)}",
        value=format_difference(each.value, metric),
        unit=difference_unit(metric),
        interval=f"{low} to {high}",
        p="" if each.p_value is None else f"p {format_p(each.p_value, each.resamples)}",
        n=each.n,
        verdict=verdict_of(each),
    )


def verdict_of(each: Difference) -> str:
    """Whether AuRA clearly wins, clearly loses, neither can be said, or there are too few."""
    if each.p_value is None:
        return FEW
    if each.p_value >= SIGNIFICANCE or each.value == 0:
        return OPEN
    return WINS if (each.value < 0) == metric_of(each.metric).lower_is_better else LOSES


def _key(each: Difference) -> tuple[tuple[int, str], ...]:
    return sort_key(each.task, each.metric, each.other)


# Whom AuRA is held against, where they were asked; text in hears nothing.
_CASCADE = "cascade"
_RIVALS = ("bridge", _CASCADE)
_HEARING, _ANSWERING = "wer", "exact_match"

# Metric -> model -> its row; AuRA has one in each.
Figures = Mapping[str, Mapping[str, Row]]


def build_line(results: Results) -> str:
    """Say in one line what AuRA reached beside its rivals; empty if it was asked nothing.

    `AuRA on 80 held-out clips: WER 2.2% (cascade 9.5%), intent accuracy 100.0% (cascade 87.5%)`
    """
    figures = headline_figures(results.rows)
    names = {_HEARING: "WER", "intent_accuracy": "intent accuracy", _ANSWERING: _exact(figures)}
    parts = []
    for metric, name in names.items():
        if by_model := figures.get(metric):
            aura, *others = _written(by_model, (AURA, *_rivals(by_model)))
            beside = ", ".join(
                f"{model} {text}" for model, text in zip(_rivals(by_model), others, strict=True)
            )
            parts.append(f"{name} {aura}" + (f" ({beside})" if beside else ""))
    if not parts:
        return ""
    row = _any_row(figures)
    few = "; too few clips to compare" if row.n < MIN_UTTERANCES else ""
    whose = _by_whom(results, figures)
    return f"AuRA on {_clips(row)}: {', '.join(parts)}{f'; {whose}' if whose else ''}{few}"


def build_verdict(results: Results) -> str:
    """Say in one sentence whether AuRA hears better than the cascade; empty without a figure.

    Where the transcripts have no figure it is about the answers. Better and worse are said only
    where the paired difference is clear.
    """
    figures = headline_figures(results.rows)
    metric = next((name for name in (_HEARING, _ANSWERING) if name in figures), None)
    return _sentence(results, figures, metric, _clips(_any_row(figures))) if metric else ""


def build_sentences(results: Results) -> list[str]:
    """What else is to be known at once: answers, other splits, time to first token."""
    figures = headline_figures(results.rows)
    sentences = []
    if _HEARING in figures and _ANSWERING in figures:
        sentences.append(_sentence(results, figures, _ANSWERING, "the same clips"))
    sentences += _elsewhere(results, figures)
    ttft = figures.get("ttft_ms_p50", {})
    enough = all(row.n >= MIN_UTTERANCES and row.value > 0 for row in ttft.values())
    if _CASCADE in ttft and enough:
        times = ttft[_CASCADE].value / ttft[AURA].value
        pace = f"{times:.1f} times sooner" if times >= 1 else f"{1 / times:.1f} times later"
        sentences.append(f"Its first token comes {pace} than the cascade's.")
    return sentences


def headline_figures(rows: Sequence[Row]) -> Figures:
    """The figures of latency, and of the split that says most of those AuRA was asked."""
    whole = [row for row in rows if row.slice is None]
    splits = [split_task(row.task)[1] for row in whole if row.model == AURA and "/" in row.task]
    tasks = [LATENCY]
    if splits:
        tasks += [f"{task}/{preferred_split(splits)}" for task in TASKS]
    found: dict[str, dict[str, Row]] = {}
    for row in whole:
        if row.task in tasks:
            found.setdefault(row.metric, {})[row.model] = row
    return {metric: by_model for metric, by_model in found.items() if AURA in by_model}


def _sentence(results: Results, figures: Figures, metric: str, clips: str) -> str:
    """AuRA beside the cascade in one metric, with the interval and what it allows to say."""
    by_model = figures[metric]
    aura = by_model[AURA]
    what = "word error rate" if metric == _HEARING else f"share of {_exact(figures)}s"
    against = ""
    if metric == _HEARING and aura.task in results.pseudo_labelled:
        against = f" against the transcripts of {results.pseudo_labelled[aura.task]}"
    few = aura.n < MIN_UTTERANCES
    if _CASCADE not in by_model:
        [value] = _written(by_model, (AURA,))
        reach = ": too few to judge by" if few else f" ({_interval(aura)})"
        return f"On {clips} AuRA's {what}{against} is {value}{reach}."
    value, other = _written(by_model, (AURA, _CASCADE))
    difference = _difference(results, aura.task, _CASCADE)
    if difference is None or verdict_of(difference) == FEW:
        tail = ": too few clips to compare them" if few else ""
        return f"On {clips} AuRA's {what}{against} is {value}, the cascade's {other}{tail}."
    verb = "hears" if metric == _HEARING else "answers"
    said = {
        WINS: f"AuRA {verb} better than the cascade",
        LOSES: f"AuRA {verb} worse than the cascade",
        OPEN: "AuRA and the cascade cannot be told apart",
    }[verdict_of(difference)]
    return (
        f"On {clips} {said}: {what}{against} {value} against {other}, a difference of "
        f"{_gap(difference, by_model)}."
    )


def _elsewhere(results: Results, figures: Figures) -> list[str]:
    """How AuRA hears the other splits beside the cascade."""
    main = figures[_HEARING][AURA].task if _HEARING in figures else None
    ends: dict[str, list[str]] = {}
    for each in results.differences:
        hears = each.metric == _HEARING and each.other == _CASCADE and "/" in each.task
        if hears and each.task != main:
            ends.setdefault(verdict_of(each), []).append(split_task(each.task)[1])
    names = {WINS: "better on", LOSES: "worse on", OPEN: "not told apart on"}
    parts = [f"{name} {_listed(ends[end])}" for end, name in names.items() if end in ends]
    return [f"Hearing on the other splits: {', '.join(parts)}."] if parts else []


def _difference(results: Results, task: str, other: str) -> Difference | None:
    return next(
        (each for each in results.differences if (each.task, each.other) == (task, other)), None
    )


def _rivals(by_model: Mapping[str, Row]) -> list[str]:
    return [model for model in _RIVALS if model in by_model]


def _exact(figures: Figures) -> str:
    """What an exact match is one of: only meanings have an intent."""
    return "exact meaning" if "intent_accuracy" in figures else "exact answer"


def _any_row(figures: Figures) -> Row:
    return next(by_model[AURA] for by_model in figures.values() if "/" in by_model[AURA].task)


def _by_whom(results: Results, figures: Figures) -> str:
    """Who wrote what the WER is measured against, if no person did."""
    task = figures[_HEARING][AURA].task if _HEARING in figures else ""
    writer = results.pseudo_labelled.get(task)
    return f"the WER is against transcripts of {writer}" if writer else ""


def _clips(row: Row) -> str:
    split = split_task(row.task)[1]
    clips = "clip" if row.n == 1 else "clips"
    return f"{row.n} held-out {clips}" if split == "heldout" else f"{row.n} {clips} of {split}"


def _written(by_model: Mapping[str, Row], models: Sequence[str]) -> list[str]:
    """Figures of one metric as shares in percent; if any is above 1, all as they are."""
    values = [by_model[model].value for model in models]
    metric = metric_of(next(iter(by_model.values())).metric)
    if max(values) > 1:
        return [f"{value:.2f}" for value in values]
    return [f"{format_value(value, metric)}%" for value in values]


def _interval(row: Row) -> str:
    metric = metric_of(row.metric)
    if row.value > 1:
        return f"95% interval {row.ci_low:.2f} to {row.ci_high:.2f}"
    low, high = (format_value(end, metric) for end in (row.ci_low, row.ci_high))
    return f"95% interval {low}% to {high}%"


def _gap(difference: Difference, by_model: Mapping[str, Row]) -> str:
    above_one = max(by_model[AURA].value, by_model[_CASCADE].value) > 1
    metric = Metric("", "", False) if above_one else metric_of(difference.metric)
    value, low, high = (
        format_difference(each, metric)
        for each in (difference.value, difference.ci_low, difference.ci_high)
    )
    unit = "" if above_one else " points"
    return f"{value}{unit} (95% interval {low} to {high})"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
