"""End a process that was started as the leader of its own group, and all that it has started."""

import logging
import os
import signal
import subprocess
from contextlib import suppress

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
