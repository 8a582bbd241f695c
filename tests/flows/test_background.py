"""Processes in the background: found by their mark, and no other is stopped."""

import os
import subprocess
import sys
import uuid

import psutil
import pytest

from flows import background


@pytest.fixture
def mark():
    mark = uuid.uuid4().hex
    yield mark
    background.stop(background.find(mark), 5)


def start(code, mark, tmp_path):
    command = [sys.executable, "-c", code]
    return background.start(command, os.environ | {background.MARK: mark}, tmp_path / "log")


def test_a_killed_parents_children_are_found_and_stopped(mark, tmp_path, tools):
    spawn = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\ntime.sleep(600)"
    )
    parent = start(spawn, mark, tmp_path)
    tools.wait_for(lambda: len(background.find(mark)) == 2, "the child", timeout_s=20)
    os.kill(parent, 9)
    tools.wait_for(lambda: not background.is_alive(parent, mark), "its end", timeout_s=20)
    left = background.find(mark)
    assert len(left) == 1
    background.stop(left, 5)
    assert background.find(mark) == []


def test_one_that_ignores_the_signal_is_killed(mark, tmp_path, tools):
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    pid = start(stubborn, mark, tmp_path)
    tools.wait_for(lambda: "ready" in (tmp_path / "log").read_text(), "it", timeout_s=20)
    background.stop([psutil.Process(pid)], 0.5)
    assert not background.is_alive(pid, mark)


def test_another_process_with_the_same_id_is_not_ours(mark):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert psutil.Process(other.pid).is_running()
        assert not background.is_alive(other.pid, mark)
        assert background.find(mark) == []
        other.communicate(b"\n")
    assert not background.is_alive(2**22 + 1, mark)
