"""What the stages of a run took, one line each."""

from collections.abc import Sequence

from tasks.stages import StageRun


def summary_lines(runs: Sequence[StageRun]) -> list[str]:
    """Return one line a stage: hit or run, wall, CPU and GPU time, bytes read and written.

    Read is what the artifacts it was made from hold, written what its own does.
    """
    width = max(len(run.name) for run in runs)
    lines = []
    for run in runs:
        cpu = "" if run.cpu_s is None else f"{run.cpu_s:.1f} CPU s"
        gpu = f"{run.gpu_s:.1f} GPU s" if run.gpu_s else ""
        read = "" if run.hit else f"{run.read_bytes / 1e6:.1f} MB read"
        wall = "" if run.hit else f"{run.wall_s:.1f} s"
        kind = "hit " if run.hit else "done"
        lines.append(
            f"{kind} {run.name:{width}} {wall:>9} {cpu:>14} {gpu:>14} {read:>15} "
            f"{run.written_bytes / 1e6:9.1f} MB {'there' if run.hit else 'written'}"
        )
    hits = sum(run.hit for run in runs)
    total_s = sum(run.wall_s for run in runs)
    lines.append(f"{len(runs)} stages in {total_s:.0f} s, {hits} of them hits")
    return lines
