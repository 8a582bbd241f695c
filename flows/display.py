"""What the console shows: stage lines, plans, result tables, and what a run has reached."""

import logging
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aura_core.artifacts import store
from aura_core.artifacts.manifest import newest_artifact
from aura_core.config.overrides import MAIN
from aura_core.evaluation.results import Row, read_table
from aura_core.explain import StageStatus
from aura_core.report.headline import build_line
from aura_core.stages import REPORT_NAME, StageSpec, is_complete

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


# What a run says at its end: a line a stage, then what it reached and what to do next.

if TYPE_CHECKING:
    # Imports Prefect, which a run with nothing to do does without.
    from tasks.stages import StageRun


def summary_lines(runs: "Sequence[StageRun]") -> list[str]:
    """Return one line a stage: kept or run, wall, CPU and GPU time, bytes read and written.

    Read is what the artifacts it was made from hold, written what its own does.
    """
    width = max(len(run.name) for run in runs)
    lines = []
    for run in runs:
        cpu = "" if run.cpu_s is None else f"{run.cpu_s:.1f} CPU s"
        gpu = f"{run.gpu_s:.1f} GPU s" if run.gpu_s else ""
        read = "" if run.kept else f"{run.read_bytes / 1e6:.1f} MB read"
        wall = "" if run.kept else f"{run.wall_s:.1f} s"
        kind = "kept" if run.kept else "done"
        lines.append(
            f"{kind} {run.name:{width}} {wall:>9} {cpu:>14} {gpu:>14} {read:>15} "
            f"{run.written_bytes / 1e6:9.1f} MB {'there' if run.kept else 'written'}"
        )
    kept = sum(run.kept for run in runs)
    total_s = sum(run.wall_s for run in runs)
    lines.append(f"{len(runs)} stages in {total_s:.0f} s, {kept} of them kept")
    return lines


def closing_lines(
    specs: Mapping[str, StageSpec], last: StageSpec, rest: Sequence[str]
) -> tuple[str, str, str]:
    """Return what was reached, where it is, and the command to go on with.

    Args:
        specs: of every stage of the run's config.
        last: of the stage that was wanted last; it is made.
        rest: arguments of the `aura run` that makes every stage.
    """
    is_report = last.stage == "report"
    where = f"report: {store.join(last.uri, REPORT_NAME)}" if is_report else f"artifact: {last.uri}"
    evaluation = specs["evaluate"]
    if not is_complete(evaluation):
        has_student = is_complete(specs[MAIN])
        reached = "a student, not evaluated yet" if has_student else f"{last.stage}, no student yet"
        return f"reached: {reached}", where, f"next: {_command('run', *rest)}  # up to the report"
    results = read_table(evaluation.uri)
    others = ", ".join(dict.fromkeys(row.model for row in results.rows))
    # Of a root the newest run is meant.
    newest = newest_artifact(last.root, evaluation.stage) == evaluation.uri
    run = _below_here(last.root if newest else evaluation.uri)
    return (
        f"reached: {build_line(results) or f'figures of {others}'}",
        where,
        f"next: {_command('demo', run)}  # a page to speak to it",
    )


def _command(*arguments: str) -> str:
    return f"{_program()} {shlex.join(arguments)}"


def _program() -> str:
    """How a shell here calls the `aura` of this installation."""
    own = Path(sys.executable).with_name("aura")
    if not own.exists():
        return f"{shlex.quote(sys.executable)} -m flows.main"
    on_path = shutil.which("aura")
    if on_path and own.samefile(on_path):
        return "aura"
    return shlex.quote(_below_here(str(own)))


def _below_here(path: str) -> str:
    """A path from the current folder, if it lies below it."""
    below = Path(path).is_relative_to(Path.cwd()) and Path(path) != Path.cwd()
    return str(Path(path).relative_to(Path.cwd())) if below else path
