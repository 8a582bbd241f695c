"""A real Prefect server, work pool and worker, and other processes with an end."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "PWD": str(ROOT),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline_s, f"{what} did not come within {timeout_s} s"
        time.sleep(0.3)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def background(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """Run a process in a group of its own; the whole group ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(command: list[str], env: dict[str, str], timeout_s: float = 900) -> str:
    """Run a command of the virtual environment to its end and return all that it said."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with background([str(BIN / command[0]), *command[1:]], env, log) as process:
            try:
                exit_code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                pytest.fail(f"not done within {timeout_s} s:\n{log.read_text()}")
        said = log.read_text()
    assert exit_code == 0, said
    return said


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above, for tests: modules of tests do not import one another."""
    return SimpleNamespace(
        answers=answers,
        background=background,
        free_port=free_port,
        listens=listens,
        run=run,
        wait_for=wait_for,
    )


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides that cut recipe `smoke` to one held-out clip, for roads travelled twice."""
    return ["ingest.demo.train_utterances=8", "evaluate.splits=[heldout]", "evaluate.max_items=1"]


@pytest.fixture(scope="session")
def quiet_env() -> dict[str, str]:
    """An environment without telemetry where the virtual environment's tools come first."""
    return os.environ | QUIET


@pytest.fixture(scope="session")
def prefect_env(tmp_path_factory, s3_bucket) -> Iterator[dict[str, str]]:
    """The environment of a client of the server of `aura up`, in homes of its own.

    The worker, and so the flows, see the bucket: a worker passes on what it was started with.
    """
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    env = os.environ | QUIET | {
        "AURA_SERVER_HOME": str(folder / "server"),
        "PREFECT_HOME": str(folder / "users"),
    }  # fmt: skip
    try:
        run(["aura", "up", "--port", str(port)], env)
        yield env | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    finally:
        run(["aura", "down"], env)
        left = [process for process in psutil.process_iter() if _is_of(process, str(folder))]
        assert not left, "processes that `aura down` has left"


def _is_of(process: psutil.Process, folder: str) -> bool:
    """Whether a process inherited a folder below this one as home of its server."""
    try:
        return process.environ().get("AURA_SERVER_HOME", "").startswith(folder)
    except (psutil.Error, OSError):
        return False
