"""Flow runs of `aura up`, struck in mid-run (the matrix is told in conftest.py)."""

import json
import os
import signal
import uuid
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

pytestmark = pytest.mark.faults
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def prefect(tools, quiet_env, tmp_path_factory):
    """`aura up` in homes of its own, its API, and how to start and strike flow runs."""
    folder = tmp_path_factory.mktemp("prefect")
    port = tools.free_port()
    env = quiet_env | {
        "AURA_SERVER_HOME": str(folder / "server"),
        "PREFECT_HOME": str(folder / "users"),
        "AURA_TEST_MARK": uuid.uuid4().hex,
    }
    url = f"http://127.0.0.1:{port}/api"

    def aura(*arguments):
        return tools.run(["python", "-m", "flows.main", *arguments], env)

    def up():
        return aura("up", "--port", str(port))

    api = partial(tools.prefect_api, url)

    def start(deployment="full-pipeline", **parameters):
        found = api(f"deployments/name/aura/{deployment}")
        return api(f"deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"]

    def state_of(run):
        return api(f"flow_runs/{run}")["state_type"]

    def wait_for_end(run):
        tools.wait_for(lambda: state_of(run) in ENDED, "the end of the flow run", 600)
        return state_of(run)

    def pids():
        state = json.loads(Path(env["AURA_SERVER_HOME"], "state.json").read_text())
        return SimpleNamespace(server=state["server_pid"], worker=state["worker_pid"])

    def processes_of(run):
        return tools.processes_with(f"PREFECT__FLOW_RUN_ID={run}")

    try:
        up()
        yield SimpleNamespace(**locals())
    finally:
        aura("down")
        assert not tools.processes_with(env["AURA_TEST_MARK"])


@pytest.fixture
def parameters(overrides):
    return lambda root: {"recipe": "smoke", "root": str(root), "overrides": overrides}


def kill_tree(pid):
    """SIGKILL a process and all that descends from it, as a machine's end would."""
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        each.kill()


def test_a_run_outlives_its_worker_in_every_stage(faults, prefect, parameters, root_without):
    stages = ("ingest", "teacher_cache", "text_lora", "distil", "evaluate", "report")
    root = root_without(*stages)
    run = prefect.start(**parameters(root))
    for stage in stages:
        faults.wait_until_at_work(prefect.env, root, stage)
        os.kill(prefect.pids().worker, signal.SIGKILL)
        assert "starting a worker" in prefect.up()
    assert prefect.wait_for_end(run) == "COMPLETED"
    faults.check_end(root)


def test_a_run_outlives_its_server(faults, prefect, parameters, root_without):
    root = root_without("distil", "evaluate")
    run = prefect.start(**parameters(root))
    faults.wait_until_at_work(prefect.env, root, "distil")
    worker = prefect.pids().worker
    kill_tree(prefect.pids().server)
    assert "starting a Prefect server" in prefect.up()
    assert prefect.pids().worker == worker
    assert prefect.wait_for_end(run) == "COMPLETED"
    faults.check_end(root)


def test_after_the_end_of_worker_and_run_another_goes_on(
    faults, prefect, parameters, root_without, tools
):
    root = root_without("distil", "evaluate")
    run = prefect.start(**parameters(root))
    faults.wait_until_at_work(prefect.env, root, "distil")
    kill_tree(prefect.pids().worker)
    tools.wait_for(lambda: not prefect.processes_of(run), "the end of every process")
    assert "marked as crashed" in prefect.up()
    assert prefect.state_of(run) == "CRASHED"
    assert prefect.wait_for_end(prefect.start(**parameters(root))) == "COMPLETED"
    faults.check_end(root)


def test_of_two_flow_runs_at_once_one_works(faults, prefect, parameters, root_without):
    root = root_without("evaluate")
    runs = [prefect.start(**parameters(root)) for _ in range(2)]
    assert [prefect.wait_for_end(run) for run in runs] == ["COMPLETED"] * 2
    faults.check_end(root)
    chosen = {"flow_runs": {"id": {"any_": runs}}}
    artifacts = prefect.api(
        "artifacts/filter", {"artifacts": {"key": {"any_": ["explain"]}}, **chosen}
    )
    states = [{row["state"] for row in json.loads(each["data"])} for each in artifacts]
    assert sorted(map(sorted, states)) == [["kept"], ["kept", "run"]]


def test_a_cancelled_run_leaves_no_process_in_any_stage(
    faults, prefect, parameters, root_without, tools
):
    stages = ("ingest", "teacher_cache", "text_lora", "distil", "evaluate", "report")
    root = root_without(*stages)
    for stage in stages:
        run = prefect.start(**parameters(root))
        faults.wait_until_at_work(prefect.env, root, stage)
        state = {"state": {"type": "CANCELLING"}}
        prefect.api(f"flow_runs/{run}/set_state", state)
        tools.wait_for(lambda run=run: not prefect.processes_of(run), "the end of every process")
        assert prefect.wait_for_end(run) == "CANCELLED", stage
    assert prefect.wait_for_end(prefect.start(**parameters(root))) == "COMPLETED"
    faults.check_end(root)
