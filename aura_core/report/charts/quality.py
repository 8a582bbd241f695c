"""Quality against time to first token: one point a model, one panel a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from aura_core.evaluation.table import Row
from aura_core.report.charts.style import canvas, colour, style, svg_text
from aura_core.report.labels import Metric, format_tick, metric_of, model_label

_WIDTH_IN, _HEIGHT_IN = 3.7, 2.9
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
        figure, axes = canvas(_HEIGHT_IN, _WIDTH_IN)
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
