"""A driver as a subprocess: mistakes in its own words, and Ray only where it is needed."""

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing

import psutil
import pytest

from aura_core.artifacts import store
from aura_core.config.recipes import recipe
from aura_core.config.stage import NodeSize
from aura_core.errors import AuraError
from aura_core.stages import plan
from tasks import local_driver
from tasks.local_driver import CpuTime, LocalRay, run_driver
from tasks.stage_driver import StageLostError

# Burns more than a second, in a grandchild whose parent is killed before it can wait.
GRANDCHILD = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 1.2: sum(range(1000))\\ntime.sleep(30)"
child = subprocess.Popen([sys.executable, "-c", burn])
while sum(__import__("psutil").Process(child.pid).cpu_times()[:2]) < 1: time.sleep(0.05)
time.sleep(0.6)
child.kill()
"""


def test_a_killed_grandchild_counts():
    command = [sys.executable, "-c", GRANDCHILD]
    with subprocess.Popen(command) as process, CpuTime(process.pid, every_s=0.1) as meter:
        process.wait(60)
    assert 1 <= meter.total_s < 10


def test_an_idle_process_takes_nothing():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with CpuTime(process.pid, every_s=0.05) as meter:
            time.sleep(0.3)
        first_s = meter.total_s
        process.communicate(b"\n")
    assert 0 <= first_s < 1


def test_a_process_that_is_gone_in_mid_look_is_no_error():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        meter = CpuTime(process.pid, every_s=0.01)
        with meter:
            process.wait(20)
    assert meter.total_s >= 0
    assert not psutil.pid_exists(process.pid)


PARENT = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
{then}
"""


def start(then):
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    return process, int(process.stdout.readline())


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_child_that_was_left_is_killed(tools):
    process, child = start("sys.stdin.read(); sys.exit(3)")
    process.stdin.close()
    local_driver.end_group(process)
    assert process.returncode == 3, "it could end by itself"
    tools.wait_for(lambda: not is_alive(child), "the end of the child")


def test_one_that_does_not_end_is_killed(monkeypatch, caplog):
    monkeypatch.setattr(local_driver, "_GRACE_S", 0.1)
    process, _ = start("import time; time.sleep(600)")
    local_driver.end_group(process)
    assert process.returncode == -9
    assert "did not end" in caplog.text


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
from tests.tasks.test_local_driver import SIZE
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


class NoRay:
    """Takes the place of a LocalRay that must not be started."""

    pids = ()
    closed = 0

    def start(self):
        raise AssertionError("started")

    def close(self):
        self.closed += 1


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


def test_a_mistake_comes_back_in_the_drivers_own_words_and_a_report_needs_no_ray(specs):
    spec, local_ray = specs["report"], NoRay()
    store.write_text(spec.spec_uri, spec.model_dump_json())
    with pytest.raises(AuraError, match=r"first$") as caught:
        run_driver(local_ray, spec, None)
    assert "\n" not in str(caught.value)
    assert local_ray.closed == 1, "what has failed may have left workers"


def test_a_ray_that_the_environment_names_takes_its_place(specs, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(AuraError, match="no spec at"):
        run_driver(NoRay(), specs["ingest"], None)
