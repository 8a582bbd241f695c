"""The frame around the `aura` command: whatever ends it is one line and an exit code.

Signals are caught before anything heavy is imported.
"""

import os
import select
import signal
import sys
from contextlib import suppress
from typing import TextIO

from flows.interrupt import interrupt

_MISTAKE, _CRASH, _NOBODY_READS = 2, 1, 141


def main() -> None:
    """Run the command.

    Exit codes: 2 a mistake the user can mend or what the system refuses, told in one line; 1 a
    crash; 130 and 143 interrupted and terminated; 141 nobody reads what it prints.
    """
    interrupt.catch(in_order=False)
    from flows import cli

    interrupt.catch(in_order=True)
    ended_by: BaseException | None = None
    try:
        cli.start()
    except BaseException as error:  # noqa: BLE001 - whatever a signal has led to
        ended_by = error
    if interrupt.received is None:
        # Nothing is left to undo.
        interrupt.catch(in_order=False)
    sys.exit(_say_last(*_end_of(ended_by)))


def _end_of(error: BaseException | None) -> tuple[int, str | None]:
    """Return the exit code and what is told; raise again what is neither mistake nor signal."""
    if error is None:
        return 0, None
    from cyclopts import CycloptsError

    from aura_core.errors import AuraError, system_error_line
    from tasks.stage_driver import StageCrashError

    # A terminal's Ctrl-C also ends Prefect's server, and Prefect then fails in its own way.
    number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else interrupt.received
    if number is not None:
        return 128 + number, interrupt.line
    # Rich leaves with a code of its own where nobody reads.
    if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
        return error.code if isinstance(error.code, int) else int(error.code is not None), None
    if isinstance(error, SystemExit) or (isinstance(error, BrokenPipeError) and _is_unread()):
        return _NOBODY_READS, None
    if isinstance(error, OSError):
        return _MISTAKE, f"error: {system_error_line(error)}"
    if isinstance(error, AuraError | CycloptsError | StageCrashError):
        code = _CRASH if isinstance(error, StageCrashError) else _MISTAKE
        return code, f"error: {' '.join(str(error).split())}"
    raise error


def _say_last(code: int, line: str | None) -> int:
    """Print what is still to be printed, then the line; return the exit code."""
    if (refused := _flush(sys.stdout)) is not None and code == 0:
        code = _NOBODY_READS if isinstance(refused, BrokenPipeError) else _MISTAKE
        line = None if code == _NOBODY_READS else f"error: {refused.strerror}: standard output"
    # Without one, `print` would take the standard output.
    if line is not None and sys.stderr is not None:
        with suppress(OSError):
            print(line, file=sys.stderr)
    _flush(sys.stderr)
    return code


def _flush(stream: TextIO | None) -> OSError | None:
    """Return what the system refuses; Python would try again at its end, and say so."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _is_unread() -> bool:
    """Whether the reader of our output has gone."""
    poll = select.poll()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        poll.register(stream, 0)
    return bool(poll.poll(0))


if __name__ == "__main__":
    main()
