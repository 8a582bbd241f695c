"""A stage's driver: its command line, its output, and what its end means, wherever it runs."""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping

from aura_core.errors import AuraError
from aura_core.stages import STAGES, StageSpec

# A driver's output: shown as it comes on a terminal, else logged line by line.

log = logging.getLogger("aura")
# Lines that a terminal has had already, for whoever keeps the log.
ECHOED = logging.getLogger("aura.echoed")
ECHOED.propagate = False

_PROGRESS_EVERY_S = 15.0
# Of the time that the driver has been at work: a bar is logged 20 times in five minutes, and 130
# times in a day.
_LOG_EVERY_SHARE = 0.05
_ERROR = "error: "
# A tqdm bar: `distil:  40%|####      | 12/30 [00:10<00:15, 1.2step/s]`.
_BAR = re.compile(r"(\d+)%\|[^|]*\| *(.*)")

# Gets the percentage that a progress bar says is done, and the rest of the bar: counts, pace.
OnProgress = Callable[[float, str], None]


class LineLog:
    """Takes raw output in chunks and remembers the last `error: ...` line."""

    def __init__(self, echo: int | None, on_progress: OnProgress | None = None) -> None:
        """Take no output yet.

        Args:
            echo: a terminal's file descriptor, which gets every byte; whole lines go to the log
                `aura`, and to `ECHOED` with a terminal.
            on_progress: hears of a progress bar every 15 s, and when it is done.
        """
        self.error_line: str | None = None
        self._echo = echo
        self._on_progress = on_progress
        self._pending = b""
        self._log = log if echo is None else ECHOED
        self._started_s = self._told_s = self._logged_s = time.monotonic()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        if self._echo is not None:
            os.write(self._echo, chunk)
        *pieces, self._pending = re.split(rb"(?<=[\r\n])", self._pending + chunk)
        for piece in pieces:
            self._take(piece)

    def close(self) -> None:
        """Take what came without a line end."""
        self._take(self._pending + b"\n")
        self._pending = b""

    def _take(self, piece: bytes) -> None:
        line = piece.decode(errors="replace").rstrip()
        if line.startswith(_ERROR):
            # The caller shows it once, as the reason of the failure.
            self.error_line = line.removeprefix(_ERROR)
        elif line:
            # A progress bar redraws itself after a carriage return, many times a second.
            self._show(line, is_redrawn=piece.endswith(b"\r"))

    def _show(self, line: str, is_redrawn: bool) -> None:
        now_s = time.monotonic()
        tell = not is_redrawn or now_s - self._told_s >= _PROGRESS_EVERY_S
        if tell and self._on_progress and (bar := _BAR.search(line)):
            self._told_s = now_s
            self._on_progress(float(bar[1]), bar[2])
        log_every_s = max(_PROGRESS_EVERY_S, _LOG_EVERY_SHARE * (now_s - self._started_s))
        if not is_redrawn or now_s - self._logged_s >= log_every_s:
            self._logged_s = now_s
            self._log.info("%s", _BAR.sub(r"\1% \2", line))


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
    return ["-m", f"tasks.jobs.{STAGES[spec.stage].driver}", "--spec", spec.spec_uri]


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


# Settings of a driver's libraries, from before they are imported.

# Read by Ray, its workers and the hub client when they start.
QUIET = {
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Nobody scrapes them here, and gathering them takes CPU time from the step.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}


def turn_telemetry_off() -> None:
    """Turn telemetry and warnings off, unless the user chose otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
