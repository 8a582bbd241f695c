"""A metric over levels of noise, rate or length: one line a model."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from aura_core.evaluation.table import Row
from aura_core.report.charts.style import canvas, colour, style, svg_text
from aura_core.report.labels import Metric, format_tick, model_label, models_in
from aura_core.report.slice_tables import Ladder

_WIDTH_IN, _HEIGHT_IN = 3.7, 2.6
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
