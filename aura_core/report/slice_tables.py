"""Figures of slices: a metric by voice, noise, rate, length, family or condition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from aura_core.evaluation.slices import LENGTH
from aura_core.evaluation.table import Row
from aura_core.report.grid import Figure, build_figure, scale_end
from aura_core.report.labels import (
    Metric,
    ModelLabel,
    benchmark_title,
    metric_of,
    models_in,
    row_key,
)

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Fewer levels make no ladder.
_MIN_STEPS = 3
# Of these more is easier, and so they begin with the highest.
_FALLING = re.compile(r"\b(?:snr|db)\b|snr_db", re.IGNORECASE)
_UNDISTURBED = "clean"


@dataclass(frozen=True)
class SliceLine:
    """One value of the key."""

    value: str
    n: int
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Ladder:
    """The rows of values that have an order, easiest noise first; for a chart."""

    title: str
    steps: list[str]
    rows: list[dict[str, Row]]  # a step's by model
    metric: Metric


@dataclass(frozen=True)
class SliceTable:
    """One benchmark cut by one key, in its primary metric."""

    benchmark: str
    key: str
    metric: Metric
    models: list[ModelLabel]
    lines: list[SliceLine]
    ladders: list[Ladder]


def build_slice_tables(rows: Sequence[Row], primary: dict[str, str]) -> list[SliceTable]:
    """A table for each benchmark and key that has more than one value.

    Args:
        rows: all rows of an evaluation.
        primary: a row's `task` -> the metric that is shown; other metrics are left out.
    """
    chosen = [row for row in rows if row.slice and row.metric == primary.get(row.task)]
    chosen.sort(key=lambda row: (row_key(row)[:4], _key(row)))
    tables = [_table(list(group)) for _, group in groupby(chosen, key=lambda r: (r.task, _key(r)))]
    return [table for table in tables if len(table.lines) > 1]


def _table(rows: list[Row]) -> SliceTable:
    metric, key = metric_of(rows[0].metric), _key(rows[0])
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(_value(row), []).append(row)
    # Ranges of lengths come in their order.
    values = list(by_value) if key == LENGTH else sorted(by_value, key=_natural)
    top = scale_end(rows)
    return SliceTable(
        benchmark=benchmark_title(rows[0].task),
        key=key.replace("_", " "),
        metric=metric,
        models=models_in(row.model for row in rows),
        lines=[
            SliceLine(
                value=value,
                n=max(row.n for row in by_value[value]),
                figures={row.model: build_figure(row, top, None, []) for row in by_value[value]},
            )
            for value in values
        ],
        ladders=[
            Ladder(title, steps, [{row.model: row for row in by_value[s]} for s in steps], metric)
            for title, steps in find_ladders(key, values).items()
        ],
    )


def find_ladders(key: str, values: Sequence[str]) -> dict[str, list[str]]:
    """Find values that have an order: at least three that differ in their number alone.

    Args:
        key: what is sliced by, such as `snr_db` or `condition`.
        values: its values, such as `20` or `noise 20 dB`; ranges of `length` are in order.

    Returns:
        Title -> its values, signal-to-noise ratios from the highest down, after `clean`.
    """
    if key == LENGTH:
        return {key: list(values)} if len(values) >= _MIN_STEPS else {}
    kinds: dict[str, list[str]] = {}
    for value in values:
        if len(_NUMBER.findall(value)) == 1:
            kinds.setdefault(_NUMBER.sub("", value), []).append(value)
    found = {}
    for kind, steps in kinds.items():
        if len(steps) < _MIN_STEPS:
            continue
        falling = bool(_FALLING.search(f"{key} {kind}"))
        ordered = sorted(steps, key=_number, reverse=falling)
        words = " ".join(kind.split()).strip()
        title = f"{key.replace('_', ' ')}: {words}" if words else key.replace("_", " ")
        found[title] = [_UNDISTURBED, *ordered] if falling and _UNDISTURBED in values else ordered
    return found


def _key(row: Row) -> str:
    return (row.slice or "").partition("=")[0]


def _value(row: Row) -> str:
    return (row.slice or "").partition("=")[2]


def _number(value: str) -> float:
    match = _NUMBER.search(value)
    return float(match[0]) if match else 0.0


def _natural(value: str) -> tuple[int, str, float]:
    """`clean` first, what is unknown last, numbers by size."""
    place = 0 if value == _UNDISTURBED else 2 if value == "unknown" else 1
    return (place, _NUMBER.sub("", value), _number(value))
