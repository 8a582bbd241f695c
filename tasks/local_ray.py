"""The Ray of this machine that the drivers of one run share."""

import json
import os
import subprocess
import sys
import tempfile

from aura_core.stage_config import NodeSize
from tasks.process_group import end_group
from tasks.stage_driver import StageLostError

# Ray reads it when it is imported.
_WITH_TOKEN = {"RAY_AUTH_MODE": "token"}


class LocalRay:
    """Starts with the first driver that needs it, and again after a crash.

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

    def start(self) -> dict[str, str]:
        """Return the environment by which a driver finds it, and start it if it is not there.

        Raises:
            StageLostError: if Ray does not start.
        """
        if self._holder and self._holder.poll() is None:
            return self._environment
        self.close()
        with tempfile.TemporaryFile() as errors:
            self._holder = subprocess.Popen(
                [sys.executable, "-m", "tasks.jobs.private_ray", self._size.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=os.environ | _WITH_TOKEN,
            )
            assert self._holder.stdout is not None
            found = self._holder.stdout.readline()
            if not found:
                self.close()
                errors.seek(0)
                lines = errors.read().decode(errors="replace").splitlines()
                raise StageLostError(f"Ray did not start: {lines[-1] if lines else 'no reason'}")
        self._environment = _WITH_TOKEN | json.loads(found)
        return self._environment

    def close(self) -> None:
        """End it and all of its workers, if it is there."""
        if self._holder is None:
            return
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        end_group(self._holder)
        self._holder = None
