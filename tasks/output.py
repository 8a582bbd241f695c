"""A driver's output: shown as it comes on a terminal, else logged line by line."""

import logging
import os
import re
import time
from collections.abc import Callable

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
