"""A real Ray shared by drivers: found by its environment, started again, never left behind."""

import os
import signal
import subprocess
import sys
import uuid
from contextlib import closing

import pytest

from aura_core.config.stage import NodeSize
from tasks.local_driver import LocalRay
from tasks.stage_driver import StageLostError

SIZE = NodeSize(cpus=3, resources={"fast_disk": 2})
# What a driver does.
ATTACH = """
import os, ray
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
found = ray.cluster_resources()
print(found["CPU"] >= 3, found["fast_disk"] == 2, ray.get(ray.remote(lambda: 7).remote()))
"""
OWNER = """
import time
from tasks.local_driver import LocalRay
from tests.tasks.test_local_ray import SIZE
LocalRay(SIZE).start()
print("there", flush=True)
time.sleep(600)
"""


@pytest.fixture
def mark(monkeypatch):
    """All that descends from here is found by it."""
    value = uuid.uuid4().hex
    monkeypatch.setenv("AURA_TEST_MARK", value)
    return value


def attach(environment):
    command = [sys.executable, "-c", ATTACH]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_drivers_share_one_until_it_is_gone(mark, tools):
    with closing(LocalRay(SIZE)) as local_ray:
        assert local_ray.pids == ()
        environment = local_ray.start()
        assert local_ray.start() == environment
        assert attach(environment).stdout == "True True 7\n"
        (pid,) = local_ray.pids
        os.kill(pid, signal.SIGKILL)
        # Its end is known when it has been waited for, which a new driver's start does.
        tools.wait_for(lambda: local_ray.start() != environment, "another one")
    tools.wait_for(lambda: not tools.processes_with(mark), "the end of every process")


@pytest.mark.slow  # the client tries for 20 s
def test_who_lacks_its_token_is_turned_away():
    with closing(LocalRay(SIZE)) as local_ray:
        result = attach(local_ray.start() | {"RAY_AUTH_TOKEN": "0" * 64})
    assert result.returncode != 0
    assert "Failed to connect to Ray cluster" in result.stderr


def test_it_ends_with_a_killed_owner(mark, tools):
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"there\n"
        owner.kill()
    tools.wait_for(lambda: not tools.processes_with(mark), "the end of every process")


def test_one_that_does_not_start_says_why(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("RAY_TMPDIR", str(file))
    with pytest.raises(StageLostError, match="Ray did not start"):
        LocalRay(SIZE).start()
