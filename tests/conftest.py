"""What every test may share: processes with an end, servers, and one finished smoke run."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import s3fs
from filelock import FileLock

from flows.local_prefect import OFFLINE
from tests.aura_command import run_aura

pytest_plugins = ["tests.browser", "tests.tiny_students"]
os.environ.update(OFFLINE)
# Two test processes share the cores: threads that spin while they wait would take each other's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.pop("AURA_ROOT", None)
S3_ACCESS_KEY = "an-access-key-to-be-kept"
S3_SECRET_KEY = "a-secret-key-to-be-kept"
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "PWD": str(ROOT),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what makes the smoke run, and end with what else reads it.

    One test process makes it while the other has all the rest to do, instead of waiting for it.
    """
    readers = {item.path: None for item in items if "smoke_root" in item.fixturenames}
    first = next(iter(readers), None)
    items.sort(key=lambda item: 0 if item.path == first else 2 if item.path in readers else 1)


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """`s3://lab` on a moto server process, reached through the usual variables.

    One server for the whole process: s3fs keeps its clients, and with them their endpoint.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    variables = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": S3_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": S3_SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    patch = pytest.MonkeyPatch()
    for name, value in variables.items():
        patch.setenv(name, value)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.2)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("lab")
        yield "s3://lab"
    finally:
        server.terminate()
        server.wait()
        patch.undo()
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def s3_folder(s3_bucket) -> str:
    """A folder of the bucket that no other test uses."""
    return f"{s3_bucket}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def smoke_root(tmp_path_factory, worker_id) -> str:
    """Root of a run of recipe `smoke` that went through once, by the command line.

    That of $AURA_SMOKE_ROOT; else the first process of a test session to ask makes it for all.
    """
    if made := os.environ.get("AURA_SMOKE_ROOT"):
        return made
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "smoke"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            result = run_aura("run", "--recipe", "smoke", "--root", root, timeout_s=None)
            assert result.returncode == 0, (
                f"the smoke run failed:\n{result.stdout}\n{result.stderr}"
            )
    return str(root)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline_s, f"{what} did not come within {timeout_s} s"
        time.sleep(0.1)


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


def processes_with(mark: str) -> dict[int, str]:
    """Command lines, by process id, of the live processes that inherited `mark`."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
                found[int(folder.name)] = line.replace("\0", " ").strip()
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}


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


def prefect_api(url: str, path: str, body: object = None, *, timeout_s: float = 60) -> object:
    """Ask a Prefect server at the address of its API; what is sent is posted.

    A server whose SQLite is busy says 503, and Prefect's own client then asks again.
    """
    request = urllib.request.Request(
        f"{url}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline_s:
                raise
        time.sleep(1)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Make `folder` a disk of its own, a tmpfs of `size`; skip the test where one may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above, for tests: modules of tests do not import one another."""
    return SimpleNamespace(
        answers=answers,
        background=background,
        free_port=free_port,
        listens=listens,
        prefect_api=prefect_api,
        processes_with=processes_with,
        run=run,
        small_disk=small_disk,
        wait_for=wait_for,
    )


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
