"""One thread that computes: what is asked of a model waits its turn there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
_DONE = object()
# More than it takes to send a piece, and less than anyone would notice where nobody takes it.
_FIRST_IS_SENT_S = 0.02


class BusyError(Exception):
    """So many requests wait already that this one is not taken."""


class Job(Generic[T]):
    """A generator that runs on the worker's thread; iterate over what it has yielded."""

    def __init__(self, executor: ThreadPoolExecutor, make: Callable[[], Iterator[T]]) -> None:
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._cancelled = Event()
        self._first_is_sent = Event()
        self._future = executor.submit(self._run)

    @property
    def is_done(self) -> bool:
        """Whether it ended, or was cancelled before it began."""
        return self._future.done()

    def cancel(self) -> None:
        """Have it end after what it is about to yield, or never begin."""
        self._cancelled.set()
        self._future.cancel()

    async def __aiter__(self) -> AsyncIterator[T]:
        while (item := await self._items.get()) is not _DONE:
            if isinstance(item, BaseException):
                raise item
            yield cast(T, item)
            self._first_is_sent.set()

    def _run(self) -> None:
        try:
            with closing(cast(Any, self._make())) as items:
                for item in items:
                    if self._cancelled.is_set():
                        break
                    self._tell(item)
                    # The next item keeps all cores busy, those that send the first one too.
                    self._first_is_sent.wait(_FIRST_IS_SENT_S)
                    # Once: a client that takes nothing holds up the others no further.
                    self._first_is_sent.set()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._tell(error)
        self._tell(_DONE)

    def _tell(self, item: object) -> None:
        # A loop that has ended waits for nothing.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)


class Worker:
    """Runs jobs one at a time, first come, first served.

    Always on the same thread: each thread that multiplies would have a pool of its own.

    Args:
        max_waiting: jobs that may wait behind the one that runs.
    """

    def __init__(self, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._max_waiting = max_waiting
        self._jobs: list[Job[Any]] = []

    def start(self, make: Callable[[], Iterator[T]]) -> Job[T]:
        """Queue a generator. Raises BusyError if too many wait."""
        self._jobs = [job for job in self._jobs if not job.is_done]
        if len(self._jobs) > self._max_waiting:
            raise BusyError(f"{self._max_waiting} requests wait already: try again later")
        job = Job(self._executor, make)
        self._jobs.append(job)
        return job

    def close(self) -> None:
        """Cancel all jobs."""
        for job in self._jobs:
            job.cancel()
        self._executor.shutdown(wait=False)
