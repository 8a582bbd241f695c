"""Processes that outlive the command that started them, found again by a mark they inherit.

A mark in the environment also finds what a killed parent has left behind, and is never
somebody else's process that was given an old process id.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "AURA_UP"


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process in a session of its own, its output appended to `log`; return its id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process.pid


def is_alive(pid: int, mark: str) -> bool:
    """Whether this process lives and bears the mark."""
    try:
        return _bears(psutil.Process(pid), mark)
    except psutil.NoSuchProcess:
        return False


def find(mark: str) -> list[psutil.Process]:
    """Return every live process that bears the mark."""
    return [process for process in psutil.process_iter() if _bears(process, mark)]


def stop(processes: Sequence[psutil.Process], grace_s: float) -> None:
    """Ask the processes to end; kill those that have not after `grace_s`."""
    for process in processes:
        _send(process, "terminate")
    _, left = psutil.wait_procs(processes, timeout=grace_s)
    for process in left:
        _send(process, "kill")
    psutil.wait_procs(left, timeout=grace_s)


def _bears(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARK) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _send(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return
