"""Prefect without a server of the user's: a temporary one, quiet, offline, in its own home."""

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from aura_core.artifacts.digest import cache_folder
from aura_core.artifacts.store import require_writable
from aura_core.errors import AuraError
from flows.interrupt import interrupt
from tasks.parent_death import ending_with_parent

# Read when Prefect and Ray are imported, so they are set before.
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}
# For a server of the user's: not for a temporary one, and not for what runs a flow.
SERVER_SECRETS = (
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_API_AUTH_STRING",
)
# A busy machine takes minutes.
_START_S = 300
_STOP_S = 5


def set_environment(environment: MutableMapping[str, str]) -> None:
    """Turn telemetry off and give Prefect its quiet home, unless the user chose otherwise."""
    home = {"PREFECT_HOME": quiet_home()}
    for name, value in (OFFLINE | QUIET | home).items():
        environment.setdefault(name, value)


def quiet_home() -> str:
    """Where Prefect keeps its files inside `aura run`: not among the user's own."""
    return str(cache_folder() / "prefect")


def run_flow(**parameters: Any) -> None:
    """Run the flow in this process, on $PREFECT_API_URL if set, else on a temporary server.

    Raises:
        AuraError: a mistake the user can mend, a root that cannot be written to, or no server
            could be started.
        StageCrashError: a stage crashed more often than it is retried.
    """
    require_writable(parameters["root"])
    if not os.environ.get("PREFECT_API_URL"):
        os.environ["PREFECT_API_URL"] = start_temporary_server()
        # Nobody can read the log of a server that ends with the run.
        os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    from flows.aura import aura

    with interrupt.resumable():
        aura(**parameters)


def start_temporary_server() -> str:
    """Return the API address of a server that ends with this process.

    Prefect's own ephemeral server shares the terminal's process group: Ctrl-C would
    end it first, and the flow would wait over a minute for it to report its end.
    """
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    # Two that make the same new database would find it locked.
    with FileLock(home / "start.lock"):
        port = _free_port()
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(
                ending_with_parent([*server_command("127.0.0.1", port), "--no-ui"]),
                env={name: os.environ[name] for name in os.environ if name not in SERVER_SECRETS},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Registered before Prefect is imported, so it runs after Prefect has sent its last events.
        atexit.register(_stop, process)
        url = f"http://127.0.0.1:{port}/api"
        wait_until_healthy(url, lambda: process.poll() is None, Path(log.name))
    return url


def server_command(host: str, port: int) -> list[str]:
    """Return the command line of a Prefect server that listens there."""
    return [
        sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port),
    ]  # fmt: skip


def is_healthy(url: str) -> bool:
    """Whether a Prefect server answers at this API address."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


def wait_until_healthy(url: str, is_alive: Callable[[], bool], log: Path) -> None:
    """Return when the server answers. Raises AuraError if it ends before, or takes too long."""
    deadline_s = time.monotonic() + _START_S
    while is_alive() and time.monotonic() < deadline_s:
        if is_healthy(url):
            return
        time.sleep(0.1)
    raise AuraError(f"the Prefect server did not start: see {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
