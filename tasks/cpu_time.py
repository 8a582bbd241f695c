"""CPU time of processes and all that descend from them, looked at now and then.

The kernel adds a child's time to its parent's only where the parent waits for it, which Ray
does not for its workers: their share would be lost.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

import psutil

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
