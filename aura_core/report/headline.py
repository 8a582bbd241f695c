"""What was reached: a line for the terminal, and the sentences at the top of the page."""

from collections.abc import Mapping, Sequence

from aura_core.ablation import AURA
from aura_core.evaluation.table import LATENCY, Row
from aura_core.report.labels import (
    TASKS,
    format_value,
    metric_of,
    model_label,
    preferred_split,
    split_task,
)

# Whom AuRA is held against, where they were asked; text in hears nothing.
_RIVALS = ("bridge", "cascade")

# Metric -> model -> its row; AuRA has one in each.
Figures = Mapping[str, Mapping[str, Row]]


def build_line(rows: Sequence[Row]) -> str:
    """Say in one line what AuRA reached beside its rivals; empty if it was asked nothing.

    `AuRA on 80 held-out clips: WER 2.2% (cascade 9.5%), intent accuracy 100.0% (cascade 87.5%)`
    """
    figures = headline_figures(rows)
    names = {"wer": "WER", "intent_accuracy": "intent accuracy", "exact_match": _exact(figures)}
    parts = []
    for metric, name in names.items():
        if by_model := figures.get(metric):
            beside = [f"{model} {_percent(by_model[model])}" for model in _rivals(by_model)]
            in_brackets = f" ({', '.join(beside)})" if beside else ""
            parts.append(f"{name} {_percent(by_model[AURA])}{in_brackets}")
    return f"AuRA on {_clips(figures)}: {', '.join(parts)}" if parts else ""


def build_sentences(rows: Sequence[Row]) -> list[str]:
    """Say in words what AuRA reached beside its rivals, what weighs most first."""
    figures = headline_figures(rows)
    sentences = []
    if heard := figures.get("wer"):
        rates = [
            f"{model_label(model).in_words}'s {'word error rate is ' if model == AURA else ''}"
            f"{_percent(heard[model])}"
            for model in (AURA, *_rivals(heard))
        ]
        sentences.append(f"On {_clips(figures)} {', '.join(rates)}.")
    understood = [
        f"{what} in {_percent(by_model[AURA])}"
        + "".join(
            f", {model_label(m).in_words} in {_percent(by_model[m])}" for m in _rivals(by_model)
        )
        for metric, what in (
            ("intent_accuracy", "the intent right"),
            ("exact_match", f"the {_exact(figures)}"),
        )
        if (by_model := figures.get(metric))
    ]
    if understood:
        sentences.append(f"It gets {', and '.join(understood)}.")
    ttft = figures.get("ttft_ms_p50", {})
    if "cascade" in ttft and min(row.value for row in ttft.values()) > 0:
        times = ttft["cascade"].value / ttft[AURA].value
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


def _rivals(by_model: Mapping[str, Row]) -> list[str]:
    return [model for model in _RIVALS if model in by_model]


def _exact(figures: Figures) -> str:
    """What an exact match is one of: only meanings have an intent."""
    return "exact meaning" if "intent_accuracy" in figures else "exact answer"


def _clips(figures: Figures) -> str:
    row = next(by_model[AURA] for by_model in figures.values() if "/" in by_model[AURA].task)
    split = split_task(row.task)[1]
    clips = "clip" if row.n == 1 else "clips"
    return f"{row.n} held-out {clips}" if split == "heldout" else f"{row.n} {clips} of {split}"


def _percent(row: Row) -> str:
    return f"{format_value(row.value, metric_of(row.metric))}%"
