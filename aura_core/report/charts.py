"""The figures: inline SVG that takes its colours from the page, so it follows light and dark.

matplotlib knows no CSS variables: it draws in stand-in colours, which are
replaced in the SVG text afterwards.
"""

import io
import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from aura_core.report.history import History, Series

INK, MUTED, LINE = "#0a0b01", "#0a0b02", "#0a0b03"
AURA, CASCADE, TEXT, ASR = "#0a0b04", "#0a0b05", "#0a0b06", "#0a0b07"
MODEL_COLOURS = {"aura": AURA, "cascade": CASCADE, "text": TEXT, "asr": ASR}
_CSS = {
    INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)",
    AURA: "var(--aura)", CASCADE: "var(--cascade)", TEXT: "var(--text)", ASR: "var(--asr)",
}  # fmt: skip
# matplotlib types its settings by literal names, which a merged dict cannot keep.
_STYLE: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 10, "font.family": "sans-serif",
    "axes.edgecolor": LINE, "axes.labelcolor": MUTED, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": LINE, "grid.linewidth": 0.7, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.major.size": 0, "ytick.major.size": 0, "lines.solid_capstyle": "round",
}  # fmt: skip
# The mean of a step reaches so small a share of the run to each side.
_STEPS_PER_REACH = 40


def loss_chart(history: History, name: str) -> str:
    """Draw a run's loss terms over its steps, each step faint and their running mean bold."""
    terms = {
        "cross-entropy": ("ce", AURA),
        "distillation": ("distil", CASCADE),
        "CTC": ("ctc", TEXT),
        "moments": ("moments", ASR),
    }
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure, axes = _canvas()
        for label, (metric, colour) in terms.items():
            series = history.series(metric)
            if any(value for _, value in series):
                _curve(axes, series, colour, label)
        _mark_phases(axes, history)
        axes.legend(frameon=False, loc="upper right", fontsize=9, labelcolor=MUTED)
        axes.set_xlabel("step")
        return _svg(figure, name)


def block_chart(history: History, name: str) -> str:
    """Draw the distillation loss of each student block, deeper blocks stronger."""
    blocks = history.blocks()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure, axes = _canvas()
        ends = []
        for i, (block, series) in enumerate(blocks.items()):
            smooth = _smooth(series)
            alpha = 0.35 + 0.65 * (i + 1) / len(blocks)
            axes.plot(*zip(*smooth, strict=True), color=AURA, alpha=alpha, linewidth=1.8)
            ends.append((smooth[-1][1], f"block {block}"))
        _mark_phases(axes, history)
        _label_ends(axes, max(series[-1][0] for series in blocks.values()), ends)
        axes.set_xlabel("step")
        return _svg(figure, name)


def similarity_chart(matrices: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Draw student blocks x teacher layers before and after training, the more alike the darker."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name, "axes.grid": False}):
        blocks = len(next(iter(matrices.values()))["values"])
        figure = Figure(figsize=(5.6, 0.9 + 0.34 * blocks), layout="constrained")
        figure.patch.set_alpha(0)
        for axes, (title, matrix) in zip(
            figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True
        ):
            axes.patch.set_alpha(0)
            axes.set_title(title, fontsize=10, color=MUTED)
            _cells(axes, matrix["values"])
            axes.set_xticks(range(len(matrix["layers"])), matrix["layers"])
            axes.set_yticks(range(blocks), range(1, blocks + 1))
            axes.set_xlabel("teacher layer")
            axes.set_ylabel("student block")
        return _svg(figure, name)


def _cells(axes: Axes, values: Sequence[Sequence[float]]) -> None:
    for row, cells in enumerate(values):
        for column, value in enumerate(cells):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=AURA, alpha=value, linewidth=0))
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9)
    axes.set_xlim(-0.5, len(values[0]) - 0.5)
    axes.set_ylim(len(values) - 0.5, -0.5)


def latency_chart(
    ttft_ms: Mapping[str, Sequence[float]], titles: Mapping[str, str], name: str
) -> str:
    """Draw every clip's time to first token as a dot, each model a row with its median."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name, "axes.grid.axis": "x"}):
        figure, axes = _canvas(height=0.75 + 0.62 * len(ttft_ms))
        for row, (model, values) in enumerate(ttft_ms.items()):
            colour = MODEL_COLOURS.get(model, MUTED)
            middle = median(values)
            axes.plot([0, middle], [row, row], color=colour, alpha=0.18, linewidth=14,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.55, markersize=4.5,
                      markeredgewidth=0)  # fmt: skip
            axes.plot([middle] * 2, [row - 0.27, row + 0.27], color=colour, linewidth=2.4)
            axes.annotate(f"{middle:,.0f} ms", (middle, row - 0.32), ha="center", va="bottom",
                          fontsize=10, fontweight="bold")  # fmt: skip
        axes.set_yticks(range(len(ttft_ms)), [titles.get(model, model) for model in ttft_ms])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(ttft_ms) - 0.45, -0.8)
        axes.set_xlim(left=0)
        axes.set_xlabel("milliseconds, batch 1")
        return _svg(figure, name)


def _canvas(height: float = 2.9) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    return figure, axes


def _curve(axes: Axes, series: Series, colour: str, label: str) -> None:
    axes.plot(*zip(*series, strict=True), color=colour, alpha=0.22, linewidth=0.8)
    axes.plot(*zip(*_smooth(series), strict=True), color=colour, linewidth=1.9, label=label)


def _smooth(series: Series) -> Series:
    """Mean of each step and its neighbours, fewer of them at the ends."""
    reach = max(1, len(series) // _STEPS_PER_REACH)
    values = np.array([value for _, value in series], dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    side = np.minimum(reach, np.minimum(centre, len(values) - 1 - centre))
    means = (sums[centre + side + 1] - sums[centre - side]) / (2 * side + 1)
    return [(step, float(mean)) for (step, _), mean in zip(series, means, strict=True)]


def _mark_phases(axes: Axes, history: History) -> None:
    axes.set_ylim(bottom=0)
    phases = history.phases()
    for phase in phases[1:]:
        axes.axvline(phase.first_step, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
    for phase in phases:
        axes.annotate(
            phase.name, (phase.first_step, 1.0), xycoords=("data", "axes fraction"),
            xytext=(4, 2), textcoords="offset points", fontsize=9, color=MUTED,
        )  # fmt: skip


def _label_ends(axes: Axes, step: int, ends: list[tuple[float, str]]) -> None:
    """Write each curve's name at its end, pushed apart where they would overlap."""
    gap = 0.065 * (axes.get_ylim()[1] - axes.get_ylim()[0])
    previous = -float("inf")
    for value, label in sorted(ends):
        previous = max(value, previous + gap)
        axes.annotate(
            f"{label}  {value:.2f}", (step, previous), xytext=(6, 0), textcoords="offset points",
            va="center", fontsize=9, color=INK, annotation_clip=False,
        )  # fmt: skip


def _svg(figure: Figure, name: str) -> str:
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
    for stand_in, variable in _CSS.items():
        svg = svg.replace(stand_in, variable)
    return svg
