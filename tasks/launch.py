"""Run a stage's Ray driver: as a subprocess here, or as a job on a cluster."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.pipeline import StageSpec
from tasks.cpu_time import CpuTime
from tasks.output import LineLog, OnProgress
from tasks.parent_death import ending_with_parent

log = logging.getLogger("aura")

# Stage -> the module below tasks.jobs that makes it.
JOBS: Mapping[str, str] = {
    "ingest": "ingest",
    "teacher_cache": "precompute",
    "text_lora": "distill",
    "targets": "targets",
    "distil": "distill",
    "benchmark": "benchmark",
    "evaluate": "evaluate",
    "report": "report",
}
MISTAKE_EXIT_CODE = 2
_STOP_GRACE_S = 20


class StageCrashError(RuntimeError):
    """A driver ended without its artifact, and not by a mistake of the user: worth a retry."""


def launch(spec: StageSpec, where: str, on_progress: OnProgress | None = None) -> float | None:
    """Run the driver of `spec` to its end; return the CPU seconds it took, if they are known.

    Args:
        spec: of the stage.
        where: "local" or the address of a Ray cluster's job server (http://host:8265).
        on_progress: hears of the driver's progress bars, now and then.

    Raises:
        AuraError: a mistake the user can mend, in the driver's own words.
        StageCrashError: anything else that kept the driver from finishing.
    """
    store.write_text(spec.spec_uri, spec.model_dump_json(indent=2) + "\n")
    if where == "local":
        return _run_subprocess(spec, on_progress)
    from tasks.submit import run_job

    run_job(spec, where, on_progress)
    # Nobody here can know what the cluster's workers took.
    return None


def driver_command(spec: StageSpec) -> list[str]:
    """The driver's command line, without the interpreter."""
    return ["-m", f"tasks.jobs.{JOBS[spec.stage]}", "--spec", spec.spec_uri]


def raise_for_exit(spec: StageSpec, exit_code: int, error_line: str | None) -> None:
    """Turn a driver's end into silence, AuraError or StageCrashError."""
    if exit_code == 0:
        return
    if exit_code == MISTAKE_EXIT_CODE and error_line:
        raise AuraError(error_line)
    raise StageCrashError(
        f"{spec.stage} {spec.fingerprint[:12]} crashed (exit code {exit_code}); its output is "
        "above, and running again goes on from what is finished"
    )


def _run_subprocess(spec: StageSpec, on_progress: OnProgress | None) -> float:
    output = LineLog(sys.stderr.fileno() if sys.stderr.isatty() else None, on_progress)
    process = subprocess.Popen(
        # A driver that nobody waits for would work beside the next run's.
        ending_with_parent([sys.executable, *driver_command(spec)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own: a terminal's Ctrl-C reaches us first, and we end the driver.
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | _terminal_size(),
    )
    try:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        with CpuTime(process.pid) as cpu_time:
            while chunk := os.read(descriptor, 65536):
                output.feed(chunk)
            exit_code = process.wait()
    except BaseException:
        _stop(process)
        raise
    finally:
        output.close()
        _signal_group(process, signal.SIGKILL)
    raise_for_exit(spec, exit_code, output.error_line)
    return cpu_time.total_s


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Let the driver shut Ray down; the caller then kills what is left of its group."""
    process.terminate()
    try:
        process.wait(_STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        log.warning("the driver did not end within %d s: killing it", _STOP_GRACE_S)


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    process.wait()


def _terminal_size() -> dict[str, str]:
    """So that progress bars in the driver, which sees a pipe, have the terminal's width."""
    size = shutil.get_terminal_size()
    return {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
