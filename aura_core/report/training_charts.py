"""Figures of training: loss terms, distillation by block, likeness of blocks and layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from aura_core.report.charts import (
    ASR,
    AURA,
    CASCADE,
    INK,
    MUTED,
    TEXT,
    WIDTH_IN,
    canvas,
    style,
    svg_text,
)
from aura_core.report.history import History, Series

# The mean of a step reaches so small a share of the run to each side.
_STEPS_PER_REACH = 40
# A term this many times as large as another gets a logarithmic axis.
_LINEAR_UP_TO = 8.0


def loss_chart(history: History, name: str) -> str:
    """Draw a run's loss terms over its steps, each step faint and their running mean bold."""
    terms = {
        "cross-entropy": ("ce", AURA),
        "cross-entropy, text alone": ("text_ce", INK),
        "distillation": ("distil", CASCADE),
        "CTC": ("ctc", TEXT),
        "moments": ("moments", ASR),
    }
    with style(name):
        figure, axes = canvas()
        drawn = {label: (history.series(metric), ink) for label, (metric, ink) in terms.items()}
        drawn = {label: (s, ink) for label, (s, ink) in drawn.items() if any(v for _, v in s)}
        for label, (series, ink) in drawn.items():
            _curve(axes, series, ink, label)
        _scale(axes, [series for series, _ in drawn.values()])
        _mark_phases(axes, history)
        figure.legend(
            frameon=False,
            loc="outside lower center",
            fontsize=9,
            labelcolor=MUTED,
            ncols=len(terms),
        )
        axes.set_xlabel("step")
        return svg_text(figure, name)


def block_chart(history: History, name: str) -> str:
    """Draw the distillation loss of each student block, deeper blocks stronger."""
    blocks = history.blocks()
    with style(name):
        figure, axes = canvas()
        ends = []
        for i, (block, series) in enumerate(blocks.items()):
            smooth = _smooth(series)
            alpha = 0.35 + 0.65 * (i + 1) / len(blocks)
            axes.plot(*zip(*smooth, strict=True), color=AURA, alpha=alpha, linewidth=1.8)
            ends.append((smooth[-1][1], f"block {block}"))
        axes.set_ylim(bottom=0)
        _mark_phases(axes, history)
        _label_ends(axes, max(series[-1][0] for series in blocks.values()), ends)
        axes.set_xlabel("step")
        return svg_text(figure, name)


def similarity_chart(matrices: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Draw student blocks x teacher layers before and after training, the more alike the darker."""
    with style(name, **{"axes.grid": False}):
        blocks = len(next(iter(matrices.values()))["values"])
        figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.34 * blocks), layout="constrained")
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
        return svg_text(figure, name)


def _cells(axes: Axes, values: Sequence[Sequence[float]]) -> None:
    for row, cells in enumerate(values):
        for column, value in enumerate(cells):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=AURA, alpha=value, linewidth=0))
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9)
    axes.set_xlim(-0.5, len(values[0]) - 0.5)
    axes.set_ylim(len(values) - 0.5, -0.5)


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


def _scale(axes: Axes, drawn: Sequence[Series]) -> None:
    """From zero, but logarithmic where one term would press the others to the ground."""
    peaks = [max(value for _, value in _smooth(series)) for series in drawn]
    lowest = min(value for series in drawn for _, value in _smooth(series))
    if lowest > 0 and max(peaks) > _LINEAR_UP_TO * min(peaks):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7 * lowest)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)


def _mark_phases(axes: Axes, history: History) -> None:
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
