"""`aura run` on this machine, struck in mid-run (the matrix is told in conftest.py)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from aura_core.artifacts import store

pytestmark = pytest.mark.faults


def test_a_killed_driver_is_started_again(
    faults, in_background, marked_env, aura_run, root_without, tools
):
    struck = ("teacher_cache", "distil", "evaluate")
    root = root_without(*struck)
    with in_background(aura_run(root), marked_env) as (process, log):
        for stage in struck:
            faults.wait_until_at_work(marked_env, root, stage, process)
            (driver,) = faults.drivers(marked_env, stage)
            os.kill(driver, signal.SIGKILL)
        assert process.wait(600) == 0, log.read_text()
    faults.check_end(root)
    tools.wait_for(lambda: not faults.processes(marked_env, ""), "the end of every process")


@pytest.fixture
def gate(s3_bucket, tools):
    """Open or shut the port by which the S3 server is reached: `gate("shut")`; its address."""
    port = tools.free_port()
    target = os.environ["AWS_ENDPOINT_URL_S3"].rsplit(":", 1)[1]
    script = str(Path(__file__).with_name("gate.py"))
    process = subprocess.Popen(
        [sys.executable, script, str(port), target],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "done\n"

    def tell(order):
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    yield tell, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_an_object_store_that_is_away_for_a_while_is_waited_for(
    faults, in_background, marked_env, aura_run, root_without, s3_bucket, gate
):
    root = f"{s3_bucket}/{uuid.uuid4().hex}"
    fs, path = store.filesystem(root)
    fs.put(f"{root_without('teacher_cache', 'distil', 'evaluate')}/", f"{path}/", recursive=True)
    tell, address = gate
    credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    env = marked_env | credentials | {"AWS_ENDPOINT_URL_S3": address}
    with in_background(aura_run(root), env) as (process, log):
        for stage, away_s in {"teacher_cache": 30, "distil": 10}.items():
            faults.wait_until_at_work(env, root, stage, process)
            tell("shut")
            time.sleep(away_s)
            tell("open")
        assert process.wait(600) == 0, log.read_text()
    faults.check_end(root)


@pytest.fixture
def disk(tools, tmp_path):
    """A disk of its own, and a way to change how many megabytes it has."""
    with tools.small_disk(tmp_path / "disk", "12m") as folder:
        grow = ["mount", "-o", "remount,size=256m", str(folder)]
        yield folder, lambda: subprocess.run(grow, check=True)


def test_a_full_disk_is_told_and_with_room_the_run_goes_on(
    faults, aura_run, root_without, disk, quiet_env
):
    root, make_room = disk
    made = ("ingest", "teacher_cache", "text_lora")
    shutil.copytree(root_without("distil", "evaluate"), root, dirs_exist_ok=True)
    command = aura_run(root, "--until", "distil")
    result = subprocess.run(command, env=quiet_env, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert re.search(r"^error: No space left on device.*make room", result.stderr, re.M)
    make_room()
    assert subprocess.run(command, env=quiet_env, check=False).returncode == 0
    faults.check_end(root, (*made, "distil"))


def test_of_two_runs_at_once_one_works(faults, in_background, marked_env, aura_run, root_without):
    made = ("teacher_cache", "distil")
    root = root_without(*made, "evaluate")
    command = aura_run(root, "--until", "distil")
    with (
        in_background(command, marked_env) as (first, first_log),
        in_background(command, marked_env) as (second, second_log),
    ):
        assert first.wait(600) == 0, first_log.read_text()
        assert second.wait(600) == 0, second_log.read_text()
    said = first_log.read_text() + second_log.read_text()
    for stage in made:
        assert len(re.findall(rf"{stage} \w+: done in", said)) == 1
    faults.check_end(root, ("ingest", "text_lora", *made))
