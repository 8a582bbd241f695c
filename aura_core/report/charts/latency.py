"""Time to first token, clip by clip."""

from collections.abc import Mapping, Sequence
from statistics import median

from aura_core.report.charts.style import INK, canvas, colour, style, svg_text
from aura_core.report.labels import model_label


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
