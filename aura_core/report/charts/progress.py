"""How well students hear in the course of their training: one line a student."""

from collections.abc import Mapping, Sequence

from aura_core.report.charts.style import canvas, colour, style, svg_text
from aura_core.report.labels import model_label, models_in

_WIDTH_IN, _HEIGHT_IN = 3.7, 2.6
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
