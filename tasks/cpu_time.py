"""CPU time of a process and all that descend from it, looked at now and then.

The kernel adds a child's time to its parent's only where the parent waits for it, which Ray
does not for its workers: their share would be lost.
"""

import threading
from types import TracebackType

import psutil

# What a process does between the last look and its end is lost.
_EVERY_S = 2.0


class CpuTime:
    """Measures while the `with` block lasts; `total_s` is at least what was seen."""

    def __init__(self, pid: int, every_s: float = _EVERY_S) -> None:
        self._root = psutil.Process(pid)
        self._every_s = every_s
        self._seen_s: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cpu-time", daemon=True)

    @property
    def total_s(self) -> float:
        return sum(self._seen_s.values())

    def __enter__(self) -> "CpuTime":
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
        while True:
            self._look()
            if self._stop.wait(self._every_s):
                return

    def _look(self) -> None:
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                times = process.cpu_times()
                # A process id may come again: with its start time it is one process only.
                key = process.pid, process.create_time()
            except psutil.Error:
                continue
            self._seen_s[key] = times.user + times.system
