"""Inline SVG that takes its colours from the page, so it follows light and dark.

matplotlib knows no CSS variables: it draws in stand-in colours, which are
replaced in the SVG text afterwards.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
