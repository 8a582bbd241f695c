"""What Ctrl-C and SIGTERM do to a command; imports next to nothing, so that it is there at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_IMPORT = "<frozen importlib._bootstrap>"


class StoppedError(BaseException):
    """A signal asked the command to end; of BaseException, as it is no failure to recover from."""


class Interrupt:
    """The signals of this process: at first they end it at once, then what runs in good order."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.line = "stopped"
        self._in_order = False
        self._resumable = False

    def catch(self, *, in_order: bool) -> None:
        """(Re)install the handlers.

        Args:
            in_order: raise StoppedError in the main thread; else end at once. Also then end at
                once while a module is imported: there is nothing to undo yet, and libraries
                swallow what is raised there.
        """
        self._in_order = in_order
        _handle(self._stop)

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Of what is interrupted in this block, the same command goes on where it was."""
        self._resumable = True
        try:
            yield
        finally:
            self._resumable = False

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self._resumable:
            self.line += "; the same command goes on where it was"
        elif not self._in_order or _is_importing(frame):
            os.write(2, f"{self.line}\n".encode())
            os._exit(128 + number)
        # One is enough: a second would cut short the ending of what runs.
        _handle(signal.SIG_IGN)
        raise StoppedError


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


def _handle(handler: Any) -> None:
    for number in _NUMBERS:
        signal.signal(number, handler)


interrupt = Interrupt()
