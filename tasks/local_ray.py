"""The Ray of this machine that the drivers of one run share."""

import os
import secrets
import subprocess
import sys
import tempfile
from types import TracebackType

from aura_core.stage_config import NodeSize
from tasks.process_group import end_group
from tasks.stage_driver import StageCrashError


class LocalRay:
    """Starts with the first driver that needs it, again after a crash, and ends with the block.

    A process of its own holds it, which ends when its standard input does: so also where this
    process is killed.
    """

    def __init__(self, size: NodeSize) -> None:
        self._size = size
        self._holder: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """The process that all of Ray descends from, if there is one."""
        return (self._holder.pid,) if self._holder else ()

    def __enter__(self) -> "LocalRay":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> dict[str, str]:
        """Return the environment by which a driver finds it, and start it if it is not there.

        Raises:
            StageCrashError: if Ray does not start.
        """
        if self._holder and self._holder.poll() is None:
            return self._environment
        self.stop()
        # Its ports listen on every address of the machine, whatever address it is given: without
        # the token it answers nobody.
        access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        with tempfile.TemporaryFile() as errors:
            self._holder = subprocess.Popen(
                [sys.executable, "-m", "tasks.jobs.private_ray", self._size.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=os.environ | access,
            )
            assert self._holder.stdout is not None
            address = self._holder.stdout.readline().decode().strip()
            if not address:
                self.stop()
                errors.seek(0)
                lines = errors.read().decode(errors="replace").splitlines()
                raise StageCrashError(f"Ray did not start: {lines[-1] if lines else 'no reason'}")
        self._environment = access | {"RAY_ADDRESS": address}
        return self._environment

    def stop(self) -> None:
        """End it and all of its workers."""
        if self._holder is None:
            return
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        end_group(self._holder)
        self._holder = None
