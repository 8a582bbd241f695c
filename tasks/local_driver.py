"""A stage's driver as a subprocess on this machine, watched, and ended with all it started.

The drivers of a run share one Ray.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

import psutil

from aura_core.config.stage import NodeSize
from aura_core.stages import STAGES, StageSpec
from tasks.parent_death import ending_with_parent
from tasks.stage_driver import (
    LineLog,
    OnProgress,
    StageLostError,
    cluster_address,
    driver_command,
    raise_for_exit,
)

# CPU time of processes and all that descend from them, looked at now and then.
#
# The kernel adds a child's time to its parent's only where the parent waits for it, which Ray
# does not for its workers: their share would be lost.

# What a process does between the last look and its end is lost.
_EVERY_S = 2.0


class CpuTime:
    """Measures what they take while the `with` block lasts; `total_s` is what was seen of it."""

    def __init__(self, *pids: int, every_s: float = _EVERY_S) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._every_s = every_s
        self._seen_s: dict[tuple[int, float], float] = {}
        self._before_s: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cpu-time", daemon=True)

    @property
    def total_s(self) -> float:
        return sum(self._seen_s.values()) - sum(self._before_s.values())

    def __enter__(self) -> "CpuTime":
        self._look()
        self._before_s = dict(self._seen_s)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            self._look()

    def _look(self) -> None:
        for process in self._processes():
            try:
                times = process.cpu_times()
                # A process id may come again: with its start time it is one process only.
                key = process.pid, process.create_time()
            except psutil.Error:
                continue
            self._seen_s[key] = times.user + times.system

    def _processes(self) -> Iterator[psutil.Process]:
        for root in self._roots:
            with suppress(psutil.Error):
                yield from [root, *root.children(recursive=True)]


# End a process that was started as the leader of its own group, and all that it has started.

log = logging.getLogger("aura")

_GRACE_S = 20


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Wait for one that was told to end, not for ever, and kill what is left of its group."""
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        log.warning("process %d did not end within %d s: killing it", process.pid, _GRACE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# The Ray of this machine that the drivers of one run share.

# Ray reads it when it is imported.
_WITH_TOKEN = {"RAY_AUTH_MODE": "token"}


class LocalRay:
    """Starts with the first driver that needs it, and again after a crash.

    A process of its own holds it, which ends when its standard input does: so also where this
    process is killed.
    """

    def __init__(self, size: NodeSize) -> None:
        self._size = size
        self._holder: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The process that all of Ray descends from, if there is one."""
        return (self._holder.pid,) if self._holder else ()

    def start(self) -> dict[str, str]:
        """Return the environment by which a driver finds it, and start it if it is not there.

        Raises:
            StageLostError: if Ray does not start.
        """
        if self._holder and self._holder.poll() is None:
            return self._environment
        self.close()
        with tempfile.TemporaryFile() as errors:
            self._holder = subprocess.Popen(
                [sys.executable, "-m", "tasks.jobs.private_ray", self._size.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=os.environ | _WITH_TOKEN,
            )
            assert self._holder.stdout is not None
            found = self._holder.stdout.readline()
            if not found:
                self.close()
                errors.seek(0)
                lines = errors.read().decode(errors="replace").splitlines()
                raise StageLostError(f"Ray did not start: {lines[-1] if lines else 'no reason'}")
        self._environment = _WITH_TOKEN | json.loads(found)
        return self._environment

    def close(self) -> None:
        """End it and all of its workers, if it is there."""
        if self._holder is None:
            return
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        end_group(self._holder)
        self._holder = None


def run_driver(local_ray: LocalRay, spec: StageSpec, on_progress: OnProgress | None) -> float:
    """Run the driver of `spec` to its end; return the CPU seconds that it and Ray took.

    Raises:
        AuraError: a mistake the user can mend, in the driver's own words.
        StageLostError: the driver was ended, or failed by what may pass.
        StageCrashError: anything else that kept it from finishing.
    """
    needs_ray = STAGES[spec.stage].uses_ray and cluster_address() is None
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
