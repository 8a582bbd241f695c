"""What a run says at its end: a line a stage, then what it reached and what to do next."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aura_core.artifacts import store
from aura_core.artifacts.manifest import newest_artifact
from aura_core.config.overrides import MAIN
from aura_core.evaluation.results import read_table
from aura_core.report.headline import build_line
from aura_core.stages import StageSpec, is_complete
from flows.request import REPORT_NAME

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
