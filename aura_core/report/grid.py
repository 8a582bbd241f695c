"""The result table as it is shown, whole and in slices: models as columns, metrics as rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from aura_core.config.benchmarks import BENCHMARKS
from aura_core.evaluation.bootstrap import MIN_UTTERANCES
from aura_core.evaluation.results import LATENCY, Row
from aura_core.evaluation.scoring import LENGTH
from aura_core.report.labels import (
    NOT_RIVALS,
    TASKS,
    Metric,
    ModelLabel,
    benchmark_title,
    format_value,
    metric_of,
    models_in,
    row_key,
    split_task,
)


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
    """One row of the table: a metric on a split or a benchmark."""

    label: str
    note: str
    metric: Metric
    n: int
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Group:
    """Rows below one heading: a metric on every split, or a benchmark with every metric."""

    title: str
    note: str
    lines: list[Line]


def build_grid(rows: Sequence[Row]) -> list[Group]:
    """Arrange the rows over whole splits and benchmarks; slices are shown elsewhere."""
    ordered = sorted((row for row in rows if row.slice is None), key=row_key)
    return [_group(list(group)) for _, group in groupby(ordered, key=_heading)]


def _heading(row: Row) -> tuple[str, str]:
    """A metric on the corpus, or all of a benchmark."""
    task, split = split_task(row.task)
    return (task, row.metric) if split else (task, "")


def _group(rows: list[Row]) -> Group:
    first = rows[0]
    task, split = split_task(first.task)
    lines = [list(group) for _, group in groupby(rows, key=lambda row: (row.metric, row.task))]
    if split:
        metric = metric_of(first.metric)
        note = f"{TASKS.get(task, task)} · {metric.direction}"
        return Group(metric.title, note, _lines(lines, rows, with_metric=False))
    known = BENCHMARKS.get(task)
    note = "batch 1" if task == LATENCY else known.description if known else ""
    return Group(benchmark_title(task), note, _lines(lines, rows, with_metric=True))


def _lines(lines: list[list[Row]], rows: list[Row], with_metric: bool) -> list[Line]:
    tops = {
        name: scale_end([row for row in rows if row.metric == name])
        for name in {row.metric for row in rows}
    }
    return [_line(line, tops[line[0].metric], with_metric) for line in lines]


def scale_end(rows: Sequence[Row]) -> float:
    """Where the scale of one metric ends: of errors and times at the largest interval."""
    end = metric_of(rows[0].metric).top
    return max(row.ci_high for row in rows) or 1.0 if end is None else end


def _line(rows: list[Row], top: float, with_metric: bool) -> Line:
    metric = metric_of(rows[0].metric)
    better = _better(rows, metric)
    return Line(
        label=metric.title if with_metric else benchmark_title(rows[0].task),
        note=metric.direction if with_metric else "",
        metric=metric,
        n=max(row.n for row in rows),
        figures={row.model: build_figure(row, top, better, rows) for row in rows},
    )


def build_figure(row: Row, top: float, better: Row | None, rows: Sequence[Row]) -> Figure:
    """A cell, marked if it is `better`, clearly so if no rival's interval reaches its own."""
    metric = metric_of(row.metric)
    return Figure(
        model=row.model,
        value=format_value(row.value, metric),
        interval=format_interval(row.ci_low, row.ci_high, metric),
        seeds=" ".join(format_value(value, metric) for value in row.by_seed or ()),
        position=_share(row.value, top),
        low=_share(row.ci_low, top),
        high=_share(row.ci_high, top),
        is_better=row is better,
        is_clear=row is better and not any(_overlap(row, other) for other in rivals(rows)),
    )


def format_interval(low: float, high: float, metric: Metric) -> str:
    """Both ends of an interval, a thin space at each side of the dash."""
    ends = format_value(low, metric), format_value(high, metric)
    return "\N{THIN SPACE}\N{EN DASH}\N{THIN SPACE}".join(ends)


def rivals(rows: Sequence[Row]) -> list[Row]:
    """Rows of the models that have to hear and to answer."""
    return [row for row in rows if row.model not in NOT_RIVALS]


def _better(rows: Sequence[Row], metric: Metric) -> Row | None:
    """The best of the rivals.

    None where there is but one, two share the first place, or there are too few utterances.
    """
    found = sorted(rivals(rows), key=lambda row: row.value, reverse=not metric.lower_is_better)
    few = min((row.n for row in found), default=0) < MIN_UTTERANCES
    if len(found) < 2 or few or found[0].value == found[1].value:
        return None
    return found[0]


def _overlap(one: Row, other: Row) -> bool:
    return one is not other and one.ci_low <= other.ci_high and other.ci_low <= one.ci_high


def _share(value: float, top: float) -> float:
    return round(min(max(value / top, 0.0), 1.0), 4)


# Figures of slices: a metric by voice, noise, rate, length, family or condition.

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
