"""Charts of results as inline SVG that takes its colours from the page, light and dark."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from aura_core.evaluation.results import Row
from aura_core.report.grid import Ladder
from aura_core.report.labels import Metric, format_tick, metric_of, model_label, models_in

# Inline SVG that takes its colours from the page, so it follows light and dark.
#
# matplotlib knows no CSS variables: it draws in stand-in colours, which are replaced in the SVG
# text afterwards.

# CSS variable -> its stand-in, a colour that nothing else has.
_STAND_INS = {
    name: f"#0a0b{number:02x}"
    for number, name in enumerate(
        (
            "ink", "muted", "line", "aura", "cascade", "text", "asr", "bridge", "no_distillation",
            "other-0", "other-1", "other-2", "other-3", "base",
        ),
        start=1,
    )
}  # fmt: skip
INK, MUTED, LINE = (_STAND_INS[name] for name in ("ink", "muted", "line"))
AURA, CASCADE, TEXT, ASR = (_STAND_INS[name] for name in ("aura", "cascade", "text", "asr"))
# matplotlib types its settings by literal names, which a merged dict cannot keep.
_STYLE: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 10, "font.family": "sans-serif",
    "axes.edgecolor": LINE, "axes.labelcolor": MUTED, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": LINE, "grid.linewidth": 0.7, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
}  # fmt: skip
WIDTH_IN = 5.0
# Of charts that stand side by side.
_WIDTH_IN, _HEIGHT_IN = 3.7, 2.6


@contextmanager
def style(name: str, **changes: Any) -> Iterator[None]:
    """Draw in the page's style; `name` makes the ids of the figure unique and repeatable."""
    settings: Any = {**_STYLE, "svg.hashsalt": name, **changes}
    with mpl.rc_context(settings):
        yield


def canvas(height_in: float = 2.8, width_in: float = WIDTH_IN) -> tuple[Figure, Axes]:
    """An empty transparent figure and its axes."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    return figure, axes


def colour(variable: str) -> str:
    """The stand-in of a CSS variable of the page, named without its dashes."""
    return _STAND_INS.get(variable, MUTED)


def svg_text(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element that can stand beside others in one page.

    Without XML header, metadata, rules for the whole page and fixed size; `name` makes
    its ids unique.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[^"]*"', "", svg, count=2)
    svg = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", svg)
    for variable, stand_in in _STAND_INS.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    return svg


# A metric over levels of noise, rate or length: one line a model.

# Lines of several models stand side by side at each level, so that their bars can be told apart.
_APART = 0.05


def ladder_chart(ladder: Ladder, name: str) -> str:
    """Draw a line a model over the steps, with 95% intervals as bars.

    Args:
        ladder: at least one step.
        name: of the figure, unique on the page.
    """
    models = [label.name for label in models_in({m for step in ladder.rows for m in step})]
    with style(name):
        figure, axes = canvas(_HEIGHT_IN, _WIDTH_IN)
        for number, model in enumerate(models):
            shift = _APART * (number - (len(models) - 1) / 2)
            _line(axes, ladder, model, shift)
        axes.set_xticks(range(len(ladder.steps)), ladder.steps, fontsize=9)
        axes.set_xlim(-0.35, len(ladder.steps) - 0.65)
        _scale(axes, ladder.metric)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylabel(ladder.metric.axis)
        return svg_text(figure, name)


def _line(axes: Axes, ladder: Ladder, model: str, shift: float) -> None:
    found: list[tuple[float, Row]] = [
        (place + shift, step[model]) for place, step in enumerate(ladder.rows) if model in step
    ]
    values = [row.value for _, row in found]
    axes.errorbar(
        [place for place, _ in found], values,
        yerr=[
            [max(0.0, row.value - row.ci_low) for _, row in found],
            [max(0.0, row.ci_high - row.value) for _, row in found],
        ],
        marker="o", color=colour(model_label(model).colour), markersize=4.5, linewidth=1.9,
        elinewidth=1.1, alpha=0.9, linestyle="--" if model == "text" else "-",
    )  # fmt: skip


def _scale(axes: Axes, metric: Metric) -> None:
    if metric.top is not None:
        axes.set_ylim(-0.03 * metric.top, metric.top * 1.03)
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, metric)))


# Time to first token, clip by clip.


def latency_chart(ttft_ms: Mapping[str, Sequence[float]], name: str) -> str:
    """Draw every clip's time to first token as a dot, each model a row with its median.

    Args:
        ttft_ms: model -> milliseconds of its clips; the order of the rows.
        name: of the figure, unique on the page.
    """
    labels = [model_label(model) for model in ttft_ms]
    with style(name, **{"axes.grid.axis": "x"}):
        figure, axes = canvas(0.75 + 0.62 * len(ttft_ms))
        for row, (label, values) in enumerate(zip(labels, ttft_ms.values(), strict=True)):
            ink, middle = colour(label.colour), median(values)
            axes.plot([0, middle], [row, row], color=ink, alpha=0.18, linewidth=14,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot(values, [row] * len(values), "o", color=ink, alpha=0.55, markersize=4.5,
                      markeredgewidth=0)  # fmt: skip
            axes.plot([middle] * 2, [row - 0.27, row + 0.27], color=ink, linewidth=2.4)
            axes.annotate(f"{middle:,.0f} ms", (middle, row - 0.32), ha="center", va="bottom",
                          fontsize=10, fontweight="bold")  # fmt: skip
        axes.set_yticks(range(len(ttft_ms)), [label.title for label in labels])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(ttft_ms) - 0.45, -0.8)
        axes.set_xlim(left=0)
        axes.set_xlabel("milliseconds, batch 1")
        return svg_text(figure, name)


# How well students hear in the course of their training: one line a student.

# (how much training it took, word error rate)
Line = Sequence[tuple[float, float]]


def progress_chart(lines: Mapping[str, Sequence[Line]], axis: str, name: str) -> str:
    """Draw the word error rate against what training took.

    Args:
        lines: model -> a line a seed, which share its colour.
        axis: the title of what it is drawn against.
        name: of the figure, unique on the page.
    """
    with style(name):
        figure, axes = canvas(_HEIGHT_IN, _WIDTH_IN)
        for label in models_in(lines):
            for number, line in enumerate(lines[label.name]):
                axes.plot(
                    *zip(*line, strict=True), color=colour(model_label(label.name).colour),
                    linewidth=1.7, alpha=0.85, marker="o", markersize=3,
                    label=label.title if number == 0 else None,
                )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_xlabel(axis)
        axes.set_ylabel("WER, clips kept out")
        axes.legend(frameon=False, fontsize=9, labelcolor="linecolor", handlelength=1.2)
        return svg_text(figure, name)


_QUALITY_HEIGHT_IN = 2.9
# Times that are further apart are drawn on a logarithmic axis.
_LINEAR_UP_TO = 12.0
_FONT_PT = 9.5
# Where a name may stand from its point, the best first.
_OFFSETS_PT = [
    (dx, dy) for dy in (4.0, -14.0, 15.0, -25.0, 26.0, -36.0, 37.0) for dx in (6.0, -6.0)
]


@dataclass(frozen=True)
class Point:
    """A model: its time to first token, and its figure in the metric of the panel."""

    ttft: Row
    quality: Row


def quality_chart(points: Mapping[str, Point], name: str) -> str:
    """Draw models as points with their 95% intervals as bars; up and left is better.

    Args:
        points: model -> its point, all of one metric; at least one.
        name: of the figure, unique on the page.
    """
    metric = metric_of(next(iter(points.values())).quality.metric)
    with style(name, **{"axes.grid.axis": "both"}):
        figure, axes = canvas(_QUALITY_HEIGHT_IN, _WIDTH_IN)
        for model, point in points.items():
            _point(axes, model, point)
        _time_axis(axes, [point.ttft for point in points.values()])
        _quality_axis(axes, metric, [point.quality for point in points.values()])
        _name(figure, axes, points)
        return svg_text(figure, name)


def _point(axes: Axes, model: str, point: Point) -> None:
    label = model_label(model)
    ink = colour(label.colour)
    x, y = point.ttft, point.quality
    axes.errorbar(
        x.value, y.value,
        xerr=[[max(0.0, x.value - x.ci_low)], [max(0.0, x.ci_high - x.value)]],
        yerr=[[max(0.0, y.value - y.ci_low)], [max(0.0, y.ci_high - y.value)]],
        fmt="o", color=ink, markersize=6.5, elinewidth=1.4, alpha=0.9,
        markerfacecolor="none" if model == "text" else ink,
    )  # fmt: skip


def _name(figure: Figure, axes: Axes, points: Mapping[str, Point]) -> None:
    """Write each model's name beside its point, where no name and no point is yet."""
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    places = {
        model: axes.transData.transform((point.ttft.value, point.quality.value)) / scale
        for model, point in points.items()
    }
    frame = Bbox(axes.get_window_extent().get_points() / scale)
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in places.values()]
    for model, (x, y) in sorted(places.items(), key=lambda item: (-item[1][1], item[1][0])):
        title = model_label(model).title
        # As wide as the letters of a common font are on average.
        width_pt = 0.56 * _FONT_PT * len(title)
        (dx, dy), box = _free_place(x, y, width_pt, taken, frame)
        taken.append(box)
        axes.annotate(
            title, (points[model].ttft.value, points[model].quality.value), xytext=(dx, dy),
            textcoords="offset points", ha="left" if dx > 0 else "right", va="bottom",
            fontsize=_FONT_PT, color=colour(model_label(model).colour), annotation_clip=False,
        )  # fmt: skip


def _free_place(
    x: float, y: float, width_pt: float, taken: Sequence[Bbox], frame: Bbox
) -> tuple[tuple[float, float], Bbox]:
    """Offset and box of a name at a point, all in points; the first place if none is free."""
    found = []
    for dx, dy in _OFFSETS_PT:
        left = x + dx if dx > 0 else x + dx - width_pt
        box = Bbox.from_bounds(left, y + dy, width_pt, _FONT_PT)
        found.append(((dx, dy), box))
        # A name may stand out at the top, never over the numbers of an axis.
        inside = box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0
        if inside and not any(box.overlaps(other) for other in taken):
            return found[-1]
    return found[0]


def _time_axis(axes: Axes, times: Sequence[Row]) -> None:
    low, high = min(row.ci_low for row in times), max(row.ci_high for row in times)
    if low > 0 and high / low > _LINEAR_UP_TO:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.4, high * 2.4)
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    else:
        # Room for the name of the slowest.
        axes.set_xlim(0, high * 1.28)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("time to first token, ms")


def _quality_axis(axes: Axes, metric: Metric, figures: Sequence[Row]) -> None:
    end = metric.top or max(row.ci_high for row in figures) or 1.0
    axes.set_ylim(
        (end * 1.06, -end * 0.06) if metric.lower_is_better else (-end * 0.06, end * 1.06)
    )
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, metric)))
    axes.set_ylabel(metric.axis)
