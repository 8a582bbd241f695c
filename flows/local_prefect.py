"""Prefect without a server of the user's: a temporary one, quiet, offline, in its own home."""

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from aura_core.errors import AuraError
from aura_core.models.file_digest import cache_folder

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
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}
_START_S = 120
_STOP_S = 5


def set_environment(environment: MutableMapping[str, str]) -> None:
    """Turn telemetry off and give Prefect its quiet home, unless the user chose otherwise."""
    home = {"PREFECT_HOME": str(cache_folder() / "prefect")}
    for name, value in (OFFLINE | QUIET | home).items():
        environment.setdefault(name, value)


def run_flow(**parameters: Any) -> None:
    """Run the flow in this process, on $PREFECT_API_URL if set, else on a temporary server.

    Raises:
        AuraError: a mistake the user can mend, or no server could be started.
        StageCrashError: a stage crashed more often than it is retried.
    """
    if not os.environ.get("PREFECT_API_URL"):
        os.environ["PREFECT_API_URL"] = start_temporary_server()
    from flows.aura import aura

    aura(**parameters)


def start_temporary_server() -> str:
    """Return the API address of a server that ends with this process.

    Prefect's own ephemeral server shares the terminal's process group: Ctrl-C would
    end it first, and the flow would wait over a minute for it to report its end.
    """
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Registered before Prefect is imported, so it runs after Prefect has sent its last events.
    atexit.register(_stop, process)
    url = f"http://127.0.0.1:{port}/api"
    _wait_until_healthy(process, url, Path(log.name))
    return url


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_healthy(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AuraError(f"Prefect's temporary server did not start: see {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
