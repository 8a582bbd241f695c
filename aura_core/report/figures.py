"""The charts of a page: which there is something to draw for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from aura_core.artifacts import store
from aura_core.config.benchmarks import is_text_task
from aura_core.evaluation.results import LATENCY, TIMINGS_NAME, Row
from aura_core.report import charts, training_charts
from aura_core.report.charts import Point
from aura_core.report.grid import SliceTable
from aura_core.report.history import History, read_similarity
from aura_core.report.labels import (
    TASKS,
    benchmark_title,
    metric_of,
    models_in,
    preferred_split,
    rank,
    row_key,
    split_task,
)

_TTFT = "ttft_ms_p50"
# More panels would say less.
_MAX_PANELS = 6


@dataclass(frozen=True)
class Panel:
    """A small chart with its heading."""

    title: str
    note: str
    svg: Markup


def run_figures(inputs: Mapping[str, str], histories: Mapping[str, History]) -> dict[str, Markup]:
    """Charts of the latency and the training there is something to draw for, by name."""
    distil, text_lora = histories["distil"], histories["text_lora"]
    ttft_ms = read_ttft_ms(inputs["evaluate"])
    similarity = read_similarity(inputs["distil"])
    drawn: dict[str, str] = {}
    if ttft_ms:
        drawn["latency"] = charts.latency_chart(ttft_ms, "latency")
    if _has_curves(distil):
        drawn["distil"] = training_charts.loss_chart(distil, "distil")
    if distil.blocks():
        drawn["blocks"] = training_charts.block_chart(distil, "blocks")
    if similarity:
        drawn["similarity"] = training_charts.similarity_chart(similarity, "similarity")
    if _has_curves(text_lora):
        drawn["text_lora"] = training_charts.loss_chart(text_lora, "text-lora")
    return {name: Markup(svg) for name, svg in drawn.items()}


def progress_panels(histories: Mapping[str, Sequence[History]]) -> list[Panel]:
    """Word error rate of students in training, against clips and against time.

    Args:
        histories: model -> its students', a seed each.
    """
    measured = {
        model: found
        for model, students in histories.items()
        if (found := [wer for each in students if len(wer := each.wer()) > 1])
    }
    if not measured:
        return []
    panels = []
    for name, axis, place in (("clips", "clips trained on", 0), ("seconds", "seconds", 1)):
        lines = {
            model: [[(point[place], point[2]) for point in line] for line in found]
            for model, found in measured.items()
        }
        svg = charts.progress_chart(lines, axis, f"progress-{name}")
        panels.append(Panel("Hearing, while it is learnt", f"against {name}", Markup(svg)))
    return panels


def quality_panels(rows: Sequence[Row], primary: Mapping[str, str]) -> list[Panel]:
    """Primary metric against the median time to first token, a panel a benchmark.

    At most six: the corpus's most telling split, then the benchmarks, then other splits.
    """
    whole = [row for row in rows if row.slice is None]
    ttft = {row.model: row for row in whole if row.metric == _TTFT}
    panels: list[Panel] = []
    for task in _main_tasks(whole):
        points = {
            row.model: Point(ttft[row.model], row)
            for row in whole
            if row.task == task and row.metric == primary.get(task) and row.model in ttft
        }
        # One point against nothing is no comparison.
        if len(points) > 1 and len(panels) < _MAX_PANELS:
            svg = charts.quality_chart(points, f"quality-{len(panels)}")
            panels.append(Panel(*_heading(task, primary[task]), Markup(svg)))
    return panels


def ladder_panels(tables: Sequence[SliceTable]) -> list[Panel]:
    """Charts of the slices that have an order, in the order of the tables."""
    found = [(table, each) for table in tables for each in table.ladders]
    return [
        Panel(
            table.benchmark,
            f"{each.title[:1].upper()}{each.title[1:]} · {table.metric.title}",
            Markup(charts.ladder_chart(each, f"ladder-{number}")),
        )
        for number, (table, each) in enumerate(found)
    ]


def read_ttft_ms(evaluate_uri: str) -> dict[str, list[float]]:
    """Milliseconds to the first token, per model in the order of the columns, clip by clip."""
    uri = store.join(evaluate_uri, TIMINGS_NAME)
    if not store.exists(uri):
        return {}
    by_model: dict[str, list[float]] = {}
    for line in filter(None, store.read_text(uri).split("\n")):
        timing = json.loads(line)
        by_model.setdefault(timing["model"], []).append(float(timing["ttft_ms"]))
    return {label.name: by_model[label.name] for label in models_in(by_model)}


def _main_tasks(rows: Sequence[Row]) -> list[str]:
    """Every row's `task` at which something is heard, the most telling first."""
    tasks = dict.fromkeys(
        row.task
        for row in sorted(rows, key=row_key)
        if row.task != LATENCY and not is_text_task(row.task)
    )
    splits = [split for task in tasks if (split := split_task(task)[1])]
    first = preferred_split(splits) if splits else None

    def place(task: str) -> tuple[int, tuple[int, str]]:
        name, split = split_task(task)
        return (0 if split == first and split else 1 if not split else 2, rank(TASKS)(name))

    return sorted(tasks, key=place)


def _heading(task: str, metric: str) -> tuple[str, str]:
    name, split = split_task(task)
    title = benchmark_title(task)
    return title, f"{TASKS.get(name, name)} · {metric_of(metric).title}" if split else metric_of(
        metric
    ).title


def _has_curves(history: History) -> bool:
    return any(history.series(name) for name in ("ce", "distil", "ctc"))
