"""The deployments, through a real server, work pool and worker, with an object store as root."""

import json
import urllib.request

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config import override
from aura_core.pipeline import STAGE_INPUTS, is_complete, plan
from aura_core.recipes import recipe


def run_and_watch(tools, env, name, **parameters):
    options = [
        part
        for key, value in parameters.items()
        for part in ("--param", f"{key}={json.dumps(value)}")
    ]
    tools.run(["prefect", "deployment", "run", f"aura/{name}", "--watch", *options], env)


def api(env, path, body):
    request = urllib.request.Request(
        f"{env['PREFECT_API_URL']}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def newest_run(env):
    """The newest flow run: the state of each of its tasks by name, and its log lines."""
    flow_run = api(env, "flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    chosen = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    tasks = api(env, "task_runs/filter", chosen)
    logs = api(env, "logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}})
    return {task["name"]: task["state_type"] for task in tasks}, [log["message"] for log in logs]


ROOT = "s3://lab/aura"


@pytest.fixture
def artifacts(object_store, monkeypatch):
    """A function that lists the complete artifacts; this process sees the store too."""
    variables, client = object_store
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def listed():
        client.invalidate_cache()
        found = client.glob("lab/aura/*/*/manifest.json")
        return {path.removeprefix("lab/aura/").removesuffix("/manifest.json") for path in found}

    return listed


@pytest.fixture(scope="module")
def deployed(tools, prefect_env, small):
    """The environment of a server by which aura/full-pipeline went through once."""
    run_and_watch(tools, prefect_env, "full-pipeline", recipe="smoke", root=ROOT, overrides=small)
    return prefect_env


def test_the_full_pipeline_runs_every_stage_by_a_readable_name(deployed, artifacts, small):
    specs = plan(override(recipe("smoke"), small), ROOT)
    tasks, lines = newest_run(deployed)
    names = {f"{name} {spec.fingerprint[:12]}" for name, spec in specs.items()}
    assert tasks == dict.fromkeys(names, "COMPLETED")
    assert all(is_complete(spec) for spec in specs.values())
    assert {path.split("/")[0] for path in artifacts()} >= set(STAGE_INPUTS)
    assert len(store.read_text(store.join(specs["report"].uri, "report.html"))) > 1000
    assert any("step" in line for line in lines), "the driver's output reaches the server"


def test_the_command_line_finds_all_of_it_done(tools, deployed, small):
    command = ["aura", "run", "--recipe", "smoke", "--root", ROOT]
    command += [part for assignment in small for part in ("--set", assignment)]
    assert tools.run(command, deployed, timeout_s=15).count("hit") == len(STAGE_INPUTS)
    rows = json.loads(tools.run(["aura", "results", "--json", "--root", ROOT], deployed))
    assert {"aura", "cascade", "text"} <= {row["model"] for row in rows}


def test_evaluate_then_evaluates_what_is_new_and_nothing_else(tools, deployed, artifacts, small):
    before = artifacts()
    overrides = [*small, "evaluate.splits=[heldout, voice]"]
    run_and_watch(tools, deployed, "evaluate", recipe="smoke", root=ROOT, overrides=overrides)
    tasks, _ = newest_run(deployed)
    assert {name.split()[0] for name in tasks} == {"evaluate", "report"}
    new = artifacts() - before
    assert {path.split("/")[0] for path in new} <= {"evaluate", "report", "cells"}
    spec = plan(override(recipe("smoke"), overrides), ROOT)["evaluate"]
    counts = require_manifest(spec.uri).counts
    assert counts["cells_made"] == counts["cells"] / 2, "one of two splits was there"


def test_a_mistake_fails_the_run_by_its_own_words(tools, prefect_env, tmp_path):
    with pytest.raises(AssertionError):
        run_and_watch(tools, prefect_env, "evaluate", recipe="smoke", root=str(tmp_path))
    flow_run = api(prefect_env, "flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert "run stage" in flow_run["state"]["message"]
    assert not list(tmp_path.iterdir())
