"""The failure matrix: what fails is struck in mid-run, and the end equals an undisturbed run's.

Real Prefect servers, Ray clusters, processes, disks and an S3 server; only a signal, a closed
port or a full disk is ours. To run it five times, against one undisturbed run:

    export AURA_FAULTS_FOLDER=$(mktemp -d)
    for i in 1 2 3 4 5; do make test-faults || break; done

test_drivers.py: `aura run` on this machine.
  - the driver is SIGKILLed in the teacher cache, the training and the evaluation: one command
    starts each again and ends well;
  - S3 refuses connections for a while, in the cache and in the training: the same;
  - the disk is full in the training: one line says so; with room, running again goes on;
  - two runs of one config at once: one works, the other waits and finds it done.
test_deployments.py: `aura up` and its deployments.
  - the worker is SIGKILLed in every stage, and `aura up` starts another: the flow run goes on;
  - the worker and all that it runs are SIGKILLed: `aura up` marks the run as crashed, a new run
    goes on;
  - the server is SIGKILLed, and `aura up` starts another: the flow run goes on;
  - two flow runs of one config at once: the second finds all done;
  - cancelled in every stage: no process is left; running again goes on.
test_clusters.py: stages sent to a Ray cluster of a head and two workers.
  - the node at work is SIGKILLed in every stage that has workers, and another joins: one command
    ends well;
  - the whole cluster is SIGKILLed and another is started at its address: the same;
  - who waits for a job is SIGKILLed: running again adopts the live job;
  - cancelled: no job is left at work.

A strike comes when the stage has shown its first result (a shard's record, a checkpoint, a
cell) or, where it shows none, when its process is there.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.config.run import Config
from aura_core.stages import STAGES, plan

ROOT = Path(__file__).parents[2]
SMOKE_STAGES = ("ingest", "teacher_cache", "text_lora", "distil", "evaluate", "report")
# Files of a stage that say how long something took: they differ from run to run. Of the first
# two all else is compared; what the report shows of them is not.
TIMED = ("metrics.jsonl", "results.json", "latency.jsonl")
TIMES = ("samples_per_s", "data_wait_s", "seconds", "elapsed_s")
# Where a stage shows its first result, below the root; the others show none before their end.
FIRST_RESULT = {
    "teacher_cache": "teacher_cache/*/shards/*.json",
    "text_lora": "text_lora/*/checkpoints/*.safetensors",
    "distil": "distil/*/checkpoints/*.safetensors",
    "evaluate": "cells/*/manifest.json",
}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id) -> Path:
    """One folder for all processes of the test session, or $AURA_FAULTS_FOLDER for many."""
    if kept := os.environ.get("AURA_FAULTS_FOLDER"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept)
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def quiet_env(quiet_env, tmp_path_factory) -> dict[str, str]:
    """With a database that no other run's temporary server writes to."""
    return quiet_env | {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect-home"))}


@pytest.fixture(scope="session")
def overrides(shared_folder) -> list[str]:
    """What cuts recipe `smoke` to the cheapest run that has work left after a first result."""
    llm = shared_folder / "tiny-llm"
    with FileLock(f"{llm}.lock"):
        if not llm.exists():
            script = Path(__file__).with_name("tiny_llm.py")
            subprocess.run([sys.executable, str(script), str(llm)], check=True, cwd=ROOT)
    text = '{"name": "text", "steps": 48, "batch_utterances": 4, "distil": 0}'
    align = '{"name": "align", "steps": 24, "batch_utterances": 4, "ce": 0, "ctc": 0.3}'
    learn = '{"name": "learn", "steps": 24, "batch_utterances": 4}'
    return [
        "ingest.demo.train_utterances=24",
        "teacher_cache.shard_utterances=2",
        f"text_lora.phases=[{text}]",
        f"distil.phases=[{align}, {learn}]",
        "evaluate.splits=[heldout]",
        "evaluate.max_new_tokens=4",
        *(f"{stage}.llm={llm}" for stage in ("text_lora", "distil")),
        *(f"{stage}.precision=fp32" for stage in ("text_lora", "distil")),
        *(f"{stage}.checkpoint_every_steps=4" for stage in ("text_lora", "distil")),
    ]


@pytest.fixture(scope="session")
def config(overrides) -> Config:
    return override(recipe("smoke"), overrides)


@pytest.fixture(scope="session")
def aura_run(overrides) -> Callable[..., list[str]]:
    """The command that makes a root's artifacts: `aura_run(root, *options)`."""

    def command(root, *options):
        settings = [part for each in overrides for part in ("--set", each)]
        python = [sys.executable, "-m", "flows.main"]
        return [*python, "run", "--recipe", "smoke", "--root", str(root), *settings, *options]

    return command


@pytest.fixture(scope="session")
def undisturbed(shared_folder, aura_run, quiet_env) -> Path:
    """The root of a run that nothing has disturbed."""
    root = shared_folder / "undisturbed"
    with FileLock(f"{root}.lock"):
        if not (root / "report").exists():
            result = subprocess.run(
                aura_run(root), env=quiet_env, capture_output=True, text=True, check=False, cwd=ROOT
            )
            assert result.returncode == 0, result.stderr
    return root


@pytest.fixture
def root_without(undisturbed, tmp_path) -> Callable[..., Path]:
    """Make a copy of the undisturbed root without these stages."""

    def copy(*stages):
        gone = {*stages, "report", *(["cells"] if "evaluate" in stages else [])}
        target = tmp_path / "root"
        shutil.copytree(undisturbed, target, ignore=shutil.ignore_patterns(*gone))
        return target

    return copy


@pytest.fixture
def marked_env(quiet_env) -> dict[str, str]:
    """An environment by which all that descends from it is found, under `MARK`."""
    return quiet_env | {"AURA_TEST_MARK": uuid.uuid4().hex}


@pytest.fixture(scope="session")
def faults(tools, config, undisturbed) -> SimpleNamespace:
    """What the tests do: wait for a stage, find its driver, compare a root's end."""

    def processes(env, text):
        """Ids of the processes of this test whose command line has this text."""
        found = tools.processes_with(env["AURA_TEST_MARK"])
        return [pid for pid, line in found.items() if text in line]

    def drivers(env, stage):
        return processes(env, f"-m tasks.jobs.{STAGES[stage].driver} --spec")

    def wait_until_at_work(env, root, stage, command=None):
        """Return in the middle of a stage; fail at once if the command ends before."""
        shows = FIRST_RESULT.get(stage)

        def is_at_work():
            assert command is None or command.poll() is None, "the command has ended"
            if shows is None:
                return bool(
                    processes(env, "make_part") if stage == "ingest" else drivers(env, stage)
                )
            return bool(results(root, shows)) and not results(root, f"{stage}/*/manifest.json")

        tools.wait_for(is_at_work, f"stage {stage} at work", timeout_s=900)

    def check_end(root, stages=SMOKE_STAGES):
        """Every stage's artifact has the content that the undisturbed one has, and is one."""
        specs = plan(config, str(root))
        for stage in stages:
            assert len(results(root, f"{stage}/*/manifest.json")) == 1
            expected = content(plan(config, str(undisturbed))[stage].uri)
            assert content(specs[stage].uri) == expected, stage

    return SimpleNamespace(
        check_end=check_end,
        drivers=drivers,
        processes=processes,
        wait_until_at_work=wait_until_at_work,
    )


def results(root, pattern: str) -> list[str]:
    fs, path = store.filesystem(str(root))
    fs.invalidate_cache()
    return fs.glob(f"{path}/{pattern}")


def content(uri: str) -> dict[str, str]:
    """Path -> digest of the files that the manifest names, which are as it says."""
    manifest = require_manifest(uri)
    found = {}
    for file in manifest.files:
        data = store.read_bytes(store.join(uri, file.path))
        assert store.xxh3(data) == file.xxh3, file.path
        found[file.path] = file.xxh3
        if file.path in TIMED or manifest.stage == "report":
            found[file.path] = untimed(file.path, data)
    return found


def untimed(path: str, data: bytes) -> str:
    """What a file with timings says beside them."""
    if path == "metrics.jsonl":
        records = [json.loads(line) for line in data.splitlines()]
        return json.dumps([{k: v for k, v in each.items() if k not in TIMES} for each in records])
    if path == "results.json":
        found = json.loads(data)
        found["rows"] = [row for row in found["rows"] if row["task"] != "latency"]
        return json.dumps(found)
    return "made"


@pytest.fixture(scope="session")
def in_background(tools, tmp_path_factory):
    """Run a command while the block strikes: `with in_background(command, env) as (run, log)`."""

    @contextmanager
    def start(command, env):
        log = tmp_path_factory.mktemp("log") / "log"
        with tools.background(command, env, log) as process:
            yield process, log

    return start
