"""The deployments, through a real server, work pool and worker, with an object store as root."""

import json
import os
import urllib.request

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.overrides import override
from aura_core.pipeline import is_complete, plan, stage_inputs
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


def artifacts(root):
    """Folders of the complete artifacts below `root`."""
    fs, path = store.filesystem(root)
    fs.invalidate_cache()
    found = fs.glob(f"{path}/*/*/manifest.json")
    return {name.removeprefix(f"{path}/").removesuffix("/manifest.json") for name in found}


@pytest.fixture(scope="module")
def deployed_root(tools, prefect_env, s3_bucket, small):
    """A root in an object store where aura/full-pipeline went through once."""
    root = f"{s3_bucket}/aura"
    run_and_watch(tools, prefect_env, "full-pipeline", recipe="smoke", root=root, overrides=small)
    return root


def test_the_full_pipeline_runs_every_stage_by_a_readable_name(prefect_env, deployed_root, small):
    specs = plan(override(recipe("smoke"), small), deployed_root)
    tasks, lines = newest_run(prefect_env)
    names = {f"{name} {spec.fingerprint[:12]}" for name, spec in specs.items()}
    assert tasks == dict.fromkeys(names, "COMPLETED")
    assert all(is_complete(spec) for spec in specs.values())
    stages = [path.split("/")[0] for path in artifacts(deployed_root)]
    assert set(stages) >= set(stage_inputs(recipe("smoke")))
    assert stages.count("report") == 1
    assert len(store.read_text(store.join(specs["report"].uri, "report.html"))) > 1000
    assert any("step" in line for line in lines), "the driver's output reaches the server"


def test_progress_is_shown_as_an_artifact_of_every_long_stage(prefect_env, deployed_root):
    found = api(prefect_env, "artifacts/filter", {"artifacts": {"type": {"any_": ["progress"]}}})
    done = {artifact["key"]: artifact["data"] for artifact in found}
    assert done["teacher-cache-progress"] == done["distil-progress"] == 100


def test_no_credential_is_in_an_artifact_or_in_a_log(prefect_env, deployed_root):
    _, lines = newest_run(prefect_env)
    files = [store.join(deployed_root, path) for path in store.list_tree(deployed_root)]
    texts = ["\n".join(lines).encode(), *map(store.read_bytes, files)]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert not any(os.environ[name].encode() in text for text in texts)


def test_the_command_line_finds_all_of_it_done(tools, prefect_env, deployed_root, small):
    command = ["aura", "run", "--recipe", "smoke", "--root", deployed_root]
    command += [part for assignment in small for part in ("--set", assignment)]
    assert tools.run(command, prefect_env, timeout_s=15).count("hit") == len(
        stage_inputs(recipe("smoke"))
    )
    results = ["aura", "results", "--json", "--root", deployed_root]
    rows = json.loads(tools.run(results, prefect_env))
    assert {"aura", "cascade", "text"} <= {row["model"] for row in rows}


def test_evaluate_then_evaluates_what_is_new_and_nothing_else(
    tools, prefect_env, deployed_root, small
):
    before = artifacts(deployed_root)
    overrides = [*small, "evaluate.splits=[heldout, voice]"]
    root = deployed_root
    run_and_watch(tools, prefect_env, "evaluate", recipe="smoke", root=root, overrides=overrides)
    tasks, _ = newest_run(prefect_env)
    assert {name.split()[0] for name in tasks} == {"evaluate", "report"}
    new = artifacts(root) - before
    assert {path.split("/")[0] for path in new} <= {"evaluate", "report", "cells"}
    spec = plan(override(recipe("smoke"), overrides), root)["evaluate"]
    counts = require_manifest(spec.uri).counts
    assert counts["cells_made"] == counts["cells"] / 2, "one of two splits was there"


def test_a_mistake_fails_the_run_by_its_own_words(tools, prefect_env, tmp_path):
    with pytest.raises(AssertionError):
        run_and_watch(tools, prefect_env, "evaluate", recipe="smoke", root=str(tmp_path))
    flow_run = api(prefect_env, "flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert "run stage" in flow_run["state"]["message"]
    assert not list(tmp_path.iterdir())
