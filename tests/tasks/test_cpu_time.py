"""CPU time of processes whose parents do not wait for them."""

import subprocess
import sys
import time

import psutil

from tasks.local_driver import CpuTime

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
