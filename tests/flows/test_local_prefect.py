"""Temporary Prefect servers."""

import os
import subprocess
import sys
import time

from filelock import FileLock

START = """
from flows.local_prefect import is_healthy, start_temporary_server
print("starting", flush=True)
assert is_healthy(start_temporary_server())
"""


def test_a_server_waits_while_another_makes_the_database(tmp_path):
    with FileLock(tmp_path / "start.lock"):
        process = subprocess.Popen(
            [sys.executable, "-c", START],
            env=os.environ | {"PREFECT_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "starting\n"
        time.sleep(1)
        assert not (tmp_path / "server.log").exists()

    _, errors = process.communicate(timeout=240)

    assert process.returncode == 0, errors
