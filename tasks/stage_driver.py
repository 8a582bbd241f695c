"""A stage's Ray driver: its command line, and what its end means, wherever it runs."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aura_core.errors import AuraError
from aura_core.pipeline import StageSpec
from tasks.output import OnProgress


class Job(NamedTuple):
    """The module below tasks.jobs that makes a stage."""

    module: str
    uses_ray: bool = True


JOBS: Mapping[str, Job] = {
    "ingest": Job("ingest"),
    "teacher_cache": Job("precompute"),
    "text_lora": Job("distill"),
    "targets": Job("targets"),
    "distil": Job("distill"),
    "benchmark": Job("benchmark"),
    "evaluate": Job("evaluate"),
    "report": Job("report", uses_ray=False),
}
MISTAKE_EXIT_CODE = 2
# What sysexits.h calls a temporary failure.
PASSING_EXIT_CODE = 75
# By itself Ray leaves those of others in sight of a worker that is given none. A worker without
# one touches none all the same: `aura_core.device` sees to that.
HIDE_GPUS: Mapping[str, str] = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}

# Runs a stage's driver to its end; returns the CPU seconds it took, if they can be known.
Launch = Callable[[StageSpec, OnProgress | None], float | None]


class StageCrashError(RuntimeError):
    """A driver ended without its artifact, and not by a mistake of the user."""


class StageLostError(StageCrashError):
    """A driver was ended, or failed by what may pass by itself: worth a retry."""


def driver_command(spec: StageSpec) -> list[str]:
    """The driver's command line, without the interpreter."""
    return ["-m", f"tasks.jobs.{JOBS[spec.stage].module}", "--spec", spec.spec_uri]


def cluster_address() -> str | None:
    """The running Ray that a driver attaches to, if the environment names one."""
    address = os.environ.get("RAY_ADDRESS", "")
    # http:// is a dashboard's address: that is where jobs are sent, not where they attach.
    return None if address.startswith("http") else address or None


def raise_for_exit(spec: StageSpec, exit_code: int, error_line: str | None) -> None:
    """Turn a driver's end into silence, AuraError, StageLostError or StageCrashError."""
    if exit_code == 0:
        return
    if exit_code == MISTAKE_EXIT_CODE and error_line:
        raise AuraError(error_line)
    crashed = f"{spec.stage} {spec.fingerprint[:12]} crashed (exit code {exit_code})"
    # Signals: a shell adds 128 to their number, Python takes it from 0.
    if exit_code == PASSING_EXIT_CODE or not 0 <= exit_code <= 128:
        raise StageLostError(
            f"{crashed}; its output is above, and running again goes on from what is finished"
        )
    raise StageCrashError(f"{crashed} by an error of its code: the traceback is above")
