"""What every test may share: a quiet environment, an S3 server, and one finished smoke run."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from filelock import FileLock

from flows.local_prefect import OFFLINE

os.environ.update(OFFLINE)
# Two test processes share the cores: threads that spin while they wait would take each other's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.pop("AURA_ROOT", None)
S3_ACCESS_KEY = "an-access-key-to-be-kept"
S3_SECRET_KEY = "a-secret-key-to-be-kept"
AURA = Path(sys.executable).with_name("aura")


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
            result = subprocess.run(
                [AURA, "run", "--recipe", "smoke", "--root", root],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, (
                f"the smoke run failed:\n{result.stdout}\n{result.stderr}"
            )
    return str(root)
