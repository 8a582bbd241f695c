"""Ctrl-C in the middle of a stage: everything ends, and running again goes on."""

import os
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from aura_core.artifacts import store
from aura_core.config.recipes import recipe
from aura_core.stages import plan
from tests.aura_command import AURA

pytestmark = pytest.mark.slow


def finished(root):
    """Folders of the complete artifacts below `root`."""
    return {path.parent for path in Path(root).rglob("manifest.json")}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("stop", "stage", "endless", "working"),
    [
        (signal.SIGINT, "ingest", "ingest.demo.train_utterances=5000", "raylet"),
        (signal.SIGTERM, "ingest", "ingest.demo.train_utterances=5000", "raylet"),
        (signal.SIGTERM, "text_lora", "text_lora.phases.0.steps=5000", "RayTrainWorker"),
    ],
)
def test_an_interrupted_run_leaves_no_process(
    tools, quiet_env, smoke_root, tmp_path, stop, stage, endless, working
):
    mark = uuid.uuid4().hex
    log = tmp_path / "log"
    root = smoke_root if stage == "text_lora" else tmp_path / "root"
    before = finished(root)
    command = [AURA, "run", "--recipe", "smoke", "--root", root, "--until", stage, "--set", endless]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command, env=quiet_env | {"AURA_TEST_MARK": mark}, stderr=stderr, start_new_session=True
        )
    tools.wait_for(
        lambda: any(working in line for line in tools.processes_with(mark).values()), "the work"
    )
    # A terminal's Ctrl-C goes to the whole group, and so to Prefect's own server too.
    os.killpg(process.pid, stop)
    exit_code = process.wait(60)
    said = log.read_text()
    assert exit_code == 128 + stop, said
    assert "Traceback" not in said
    tools.wait_for(lambda: not tools.processes_with(mark), "the end of every process", timeout_s=20)
    assert finished(root) == before


def test_running_again_after_a_stage_goes_on_from_it(tools, quiet_env, smoke_root):
    """The finished stages of `smoke_root` are hits: nothing is run, Prefect is not started."""
    said = tools.run(["aura", "run", "--recipe", "smoke", "--root", smoke_root], quiet_env, 15)
    specs = plan(recipe("smoke"), smoke_root)
    assert said.count("kept") == len(specs)
    assert store.join(specs["report"].uri, "report.html") in said.replace("\n", "")
