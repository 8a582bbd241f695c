"""What the stages of a run took, one line each."""

from collections.abc import Sequence

from tasks.stages import StageRun


def summary_lines(runs: Sequence[StageRun]) -> list[str]:
    """Return one line a stage: hit or run, wall time, CPU time, bytes of the artifact."""
    width = max(len(run.name) for run in runs)
    lines = []
    for run in runs:
        cpu = "" if run.cpu_s is None else f"{run.cpu_s:.1f} CPU s"
        wall = "" if run.hit else f"{run.wall_s:.1f} s"
        kind = "hit " if run.hit else "done"
        lines.append(
            f"{kind} {run.name:{width}} {wall:>9} {cpu:>14} {run.size_bytes / 1e6:9.1f} MB"
        )
    hits = sum(run.hit for run in runs)
    total_s = sum(run.wall_s for run in runs)
    lines.append(f"{len(runs)} stages in {total_s:.0f} s, {hits} of them hits")
    return lines
