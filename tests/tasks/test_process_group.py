"""What a process has started ends with it."""

import subprocess
import sys

import psutil

from tasks import local_driver

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
