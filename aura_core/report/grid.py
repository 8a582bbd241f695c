"""The result table as it is shown: models as columns, metrics on splits and benchmarks as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from aura_core.benchmarks.catalogue import BENCHMARKS
from aura_core.evaluation.significance import MIN_UTTERANCES
from aura_core.evaluation.table import LATENCY, Row
from aura_core.report.labels import (
    NOT_RIVALS,
    TASKS,
    Metric,
    benchmark_title,
    format_value,
    metric_of,
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
