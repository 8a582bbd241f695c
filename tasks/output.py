"""A driver's output: shown as it comes on a terminal, else logged line by line."""

import logging
import os
import re
import time
from collections.abc import Callable

log = logging.getLogger("aura")

_PROGRESS_EVERY_S = 15.0
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
            echo: a terminal's file descriptor; None sends whole lines to the log.
            on_progress: hears of a progress bar, now and then.
        """
        self.error_line: str | None = None
        self._echo = echo
        self._on_progress = on_progress
        self._pending = b""
        self._last_progress_s = time.monotonic()

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
        elif line and self._is_due(piece):
            if self._on_progress and (found := _BAR.search(line)):
                self._on_progress(float(found[1]), found[2])
            if self._echo is None:
                log.info("%s", line)

    def _is_due(self, piece: bytes) -> bool:
        """Progress bars redraw themselves after a carriage return: log a few of those only."""
        if not piece.endswith(b"\r"):
            return True
        now_s = time.monotonic()
        if now_s - self._last_progress_s < _PROGRESS_EVERY_S:
            return False
        self._last_progress_s = now_s
        return True
