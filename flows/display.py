"""What the console shows: stage lines, the state of a plan, the result table."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aura_core.evaluation.results import Row
from aura_core.explain import StageStatus

# Where the commands print.

# A closed standard output is none at all.
_IS_SEEN = sys.stdout is not None and sys.stdout.isatty()
# What is piped onwards must not be folded at the width of a terminal.
out = Console(highlight=False, soft_wrap=True, width=None if _IS_SEEN else 200)


if TYPE_CHECKING:
    from aura_core.preflight import Check


class StageLines(logging.Handler):
    """Shows log lines as they are; the state a stage line begins with gets a colour."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        line = Text(record.getMessage())
        line.highlight_regex(r"^kept ", "green")
        line.highlight_regex(r"^(run|done) ", "cyan")
        self._console.print(line)


@contextmanager
def stage_lines(console: Console) -> Iterator[None]:
    """Show what the `aura` logger says on `console`."""
    handler = StageLines(console)
    log = logging.getLogger("aura")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    # Prefect's console handler sits at the root and would say everything twice.
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)


def status_table(statuses: Sequence[StageStatus]) -> Table:
    """Return one line a stage: kept, or run and why."""
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "artifact", "", "why"):
        table.add_column(name, overflow="fold")
    for status in statuses:
        state = "[green]kept[/]" if status.kept else "[yellow]run[/]"
        table.add_row(status.spec.name, status.spec.fingerprint[:12], state, escape(reason(status)))
    return table


def reason(status: StageStatus) -> str:
    """Return why a stage is run; nothing for one that is kept."""
    if status.kept:
        return ""
    difference = status.difference
    if difference is None:
        return "no artifact of this stage yet"
    return (
        f"{difference.field}: {difference.found!r} in {(status.nearest_fingerprint or '')[:12]}, "
        f"now {difference.wanted!r}"
    )


def work_table(statuses: Sequence[StageStatus], work: Mapping[str, str]) -> Table:
    """Return one line a stage: kept, or run and what there is to do."""
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "artifact", "", "work"):
        table.add_column(name, overflow="fold")
    for status in statuses:
        spec = status.spec
        state, todo = ("[green]kept[/]", "") if status.kept else ("[cyan]run[/]", work[spec.name])
        table.add_row(spec.name, spec.fingerprint[:12], state, escape(todo))
    return table


def check_table(checks: "Sequence[Check]") -> Table:
    """Return one line for each thing that was tried, and what was found."""
    table = Table(box=None, pad_edge=False)
    for name in ("checked", "found"):
        table.add_column(name, overflow="fold")
    for check in checks:
        table.add_row(escape(check.what), escape(check.found))
    return table


def result_table(rows: Sequence[Row], title: str) -> Table:
    """Return the figures with their intervals and n."""
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    for name in ("task", "metric", "model"):
        table.add_column(name)
    for name in ("value", "95% interval", "n"):
        table.add_column(name, justify="right")
    several = any(row.by_seed for row in rows)
    if several:
        table.add_column("by seed")
    for row in sorted(rows, key=lambda row: (row.task, row.slice or "", row.metric, row.model)):
        table.add_row(
            " ".join(filter(None, (row.task, row.slice))),
            row.metric,
            row.model,
            figure(row.value),
            f"{figure(row.ci_low)} to {figure(row.ci_high)}",
            str(row.n),
            *([" ".join(map(figure, row.by_seed or ()))] if several else []),
        )
    return table


def figure(value: float) -> str:
    """Write a figure, with less of it behind the point the larger it is."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
