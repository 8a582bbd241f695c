"""`aura up`, `down` and `status` where there is nothing to start, or it must not be."""

import json
import os
import socket
import subprocess
import sys
import uuid
from functools import partial

import psutil
import pytest

from aura_core.errors import AuraError
from flows import local_prefect, server
from flows.server import ServerState, read_state, server_home, write_state
from tests.aura_command import run_aura


@pytest.fixture
def mark():
    mark = uuid.uuid4().hex
    yield mark
    server.stop_processes(server.find(mark), 5)


def start(code, mark, tmp_path):
    command = [sys.executable, "-c", code]
    return server.start_process(command, os.environ | {server.MARK: mark}, tmp_path / "log")


def test_a_killed_parents_children_are_found_and_stopped(mark, tmp_path, tools):
    spawn = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\ntime.sleep(600)"
    )
    parent = start(spawn, mark, tmp_path)
    tools.wait_for(lambda: len(server.find(mark)) == 2, "the child", timeout_s=20)
    os.kill(parent, 9)
    tools.wait_for(lambda: not server.is_alive(parent, mark), "its end", timeout_s=20)
    left = server.find(mark)
    assert len(left) == 1
    server.stop_processes(left, 5)
    assert server.find(mark) == []


def test_one_that_ignores_the_signal_is_killed(mark, tmp_path, tools):
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    pid = start(stubborn, mark, tmp_path)
    tools.wait_for(lambda: "ready" in (tmp_path / "log").read_text(), "it", timeout_s=20)
    server.stop_processes([psutil.Process(pid)], 0.5)
    assert not server.is_alive(pid, mark)


def test_another_process_with_the_same_id_is_not_ours(mark):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert psutil.Process(other.pid).is_running()
        assert not server.is_alive(other.pid, mark)
        assert server.find(mark) == []
        other.communicate(b"\n")
    assert not server.is_alive(2**22 + 1, mark)


aura = partial(run_aura, timeout_s=60)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AURA_SERVER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)


def dead_state():
    return ServerState("http://127.0.0.1:9/api", "no-such-mark", 2**22 + 1, 2**22 + 2, "/runs")


def test_without_a_server_status_says_how_to_get_one_and_down_does_nothing():
    shown = aura("status")
    assert shown.returncode == 1
    assert "aura up" in shown.stdout
    stopped = aura("down")
    assert stopped.returncode == 0
    assert "nothing to stop" in stopped.stdout
    assert json.loads(aura("status", "--json").stdout)["server"] is None


def test_down_clears_away_after_a_server_that_was_killed():
    write_state(dead_state())
    assert server.stop(print)
    assert read_state() is None
    assert not server.stop(print)


def test_a_taken_port_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = aura("up", "--port", str(port))
    assert result.returncode == 2
    assert f"error: port {port} is in use" in result.stderr
    assert read_state() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_an_address_others_reach_needs_a_password(host, monkeypatch):
    with pytest.raises(AuraError, match="can run code on this machine"):
        server.require_safe_host(host)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "a:b")
    server.require_safe_host(host)


def test_loopback_needs_none():
    for host in server.LOOPBACK:
        server.require_safe_host(host)


def test_a_damaged_state_is_named():
    write_state(dead_state())
    (server_home() / "state.json").write_text("{")
    with pytest.raises(AuraError, match=r"state\.json is damaged"):
        read_state()


def test_only_the_server_gets_the_databases_password(monkeypatch):
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://u:pw@db/x")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:password")
    environment = server._environment("http://127.0.0.1:4200/api", "mark")
    assert not set(local_prefect.SERVER_SECRETS) & set(environment)
    assert environment["PREFECT_API_AUTH_STRING"] == "user:password"


def test_the_silence_of_aura_run_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    environment = server._environment("http://127.0.0.1:4200/api", "mark")
    assert "PREFECT_LOGGING_INTERNAL_LEVEL" not in environment
    assert environment["PREFECT_LOGGING_LEVEL"] == "DEBUG", "what the user chose"
    assert environment["PREFECT_HOME"].startswith(os.environ["AURA_SERVER_HOME"])
