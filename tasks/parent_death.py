"""Run a command that ends with the process that started it, also where that was killed.

python -m tasks.parent_death COMMAND [ARGUMENT ...]

A program of its own and no `preexec_fn`, which may hang in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def ending_with_parent(command: list[str]) -> list[str]:
    """Return the command line that runs `command` so; elsewhere than on Linux, `command`."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-m", "tasks.parent_death", *command]


if __name__ == "__main__":
    # The kernel sends SIGTERM, and exec keeps the order.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(sys.argv[1], sys.argv[1:])
