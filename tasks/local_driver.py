"""Run a stage's driver as a subprocess on this machine."""

import os
import shutil
import subprocess
import sys

from aura_core.pipeline import StageSpec
from tasks.cpu_time import CpuTime
from tasks.local_ray import LocalRay
from tasks.output import LineLog, OnProgress
from tasks.parent_death import ending_with_parent
from tasks.process_group import end_group
from tasks.stage_driver import JOBS, cluster_address, driver_command, raise_for_exit


def run_driver(local_ray: LocalRay, spec: StageSpec, on_progress: OnProgress | None) -> float:
    """Run the driver of `spec` to its end; return the CPU seconds that it and Ray took.

    Raises:
        AuraError: a mistake the user can mend, in the driver's own words.
        StageLostError: the driver was ended, or failed by what may pass.
        StageCrashError: anything else that kept it from finishing.
    """
    needs_ray = JOBS[spec.stage].uses_ray and cluster_address() is None
    ray_environment = local_ray.start() if needs_ray else {}
    output = LineLog(sys.stderr.fileno() if sys.stderr.isatty() else None, on_progress)
    process = subprocess.Popen(
        # A driver that nobody waits for would work beside the next run's.
        ending_with_parent([sys.executable, *driver_command(spec)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own: a terminal's Ctrl-C reaches us first, and we end the driver.
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | _terminal_size() | ray_environment,
    )
    exit_code = -1
    try:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        with CpuTime(process.pid, *local_ray.pids) as cpu_time:
            while chunk := os.read(descriptor, 65536):
                output.feed(chunk)
            exit_code = process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        output.close()
        end_group(process)
        if exit_code != 0:
            # Workers that Ray has not ended yet would work beside the next driver's.
            local_ray.close()
    raise_for_exit(spec, exit_code, output.error_line)
    return cpu_time.total_s


def _terminal_size() -> dict[str, str]:
    """So that progress bars in the driver, which sees a pipe, have the terminal's width."""
    size = shutil.get_terminal_size()
    return {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
