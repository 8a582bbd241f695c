"""The deployments, through a real server, work pool and worker, with an object store as root."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.stages import is_complete, plan, stage_inputs

pytestmark = pytest.mark.slow


def run_and_watch(tools, env, name, **parameters):
    options = [
        part
        for key, value in parameters.items()
        for part in ("--param", f"{key}={json.dumps(value)}")
    ]
    tools.run(["prefect", "deployment", "run", f"aura/{name}", "--watch", *options], env)


@pytest.fixture
def api(tools, prefect_env):
    """Ask the server: `api(path, body)`."""
    return partial(tools.prefect_api, prefect_env["PREFECT_API_URL"], timeout_s=30)


def newest_run(api):
    """The newest flow run: the state of each of its tasks by name, and its log lines."""
    flow_run = api("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    chosen = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    tasks = api("task_runs/filter", chosen)
    logs = api("logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}})
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


def test_the_full_pipeline_runs_every_stage_by_a_readable_name(deployed_root, small, api):
    specs = plan(override(recipe("smoke"), small), deployed_root)
    tasks, lines = newest_run(api)
    names = {f"{name} {spec.fingerprint[:12]}" for name, spec in specs.items()}
    assert tasks == dict.fromkeys(names, "COMPLETED")
    assert all(is_complete(spec) for spec in specs.values())
    stages = [path.split("/")[0] for path in artifacts(deployed_root)]
    assert set(stages) >= set(stage_inputs(recipe("smoke")))
    assert stages.count("report") == 1
    assert len(store.read_text(store.join(specs["report"].uri, "report.html"))) > 1000
    for name in names:
        assert [line for line in lines if line.startswith(f"run  {name}")]
        assert [line for line in lines if line.startswith(f"done {name} in ")]
    assert f"{len(names)} stages in" in "\n".join(lines)
    assert any(line.startswith("teacher cache: 100% ") and "shards=" in line for line in lines)
    assert any(line.startswith("distil: 100% 4/4 [") for line in lines)


def test_progress_is_shown_as_an_artifact_of_every_long_stage(deployed_root, api):
    found = api("artifacts/filter", {"artifacts": {"type": {"any_": ["progress"]}}})
    done = {artifact["key"]: artifact["data"] for artifact in found}
    assert done["teacher-cache-progress"] == done["distil-progress"] == 100


def test_the_explanation_the_table_and_the_report_are_artifacts(deployed_root, api):
    newest = {each["key"]: each for each in api("artifacts/latest/filter", {})}
    explained = {row["stage"]: row for row in json.loads(newest["explain"]["data"])}
    assert {"ingest", "distil", "report"} <= set(explained)
    assert {row["state"] for row in explained.values()} == {"run"}
    rows = json.loads(newest["results"]["data"])
    assert {"aura", "cascade", "text"} <= {row["model"] for row in rows}
    assert f"{deployed_root}/report/" in newest["report"]["data"]


def test_the_run_form_has_a_plain_field_and_a_text_for_every_parameter(api):
    for name in ("full-pipeline", "teacher-cache", "distill", "evaluate"):
        deployment = api(f"deployments/name/aura/{name}")
        fields = deployment["parameter_openapi_schema"]["properties"]
        assert set(deployment["parameters"]) <= set(fields)
        assert deployment["tags"] == ["aura"]
        assert {field["type"] for field in fields.values()} == {"string", "array", "boolean"}
        assert all(len(field["description"]) > 15 for field in fields.values())
        assert "smoke" in fields["recipe"]["enum"]


def test_two_runs_do_not_share_the_machine(api):
    assert api("work_pools/aura")["concurrency_limit"] == 1


def test_status_shows_the_worker_and_the_stages_of_the_run(tools, prefect_env, deployed_root):
    shown = tools.run(["aura", "status"], prefect_env)
    assert "worker   online (at most 1 at once)" in shown
    found = json.loads(tools.run(["aura", "status", "--json"], prefect_env))
    assert found["active"] == []
    assert found["last"]["name"] == "smoke"
    assert {stage["name"].split()[0] for stage in found["last"]["stages"]} >= {"ingest", "report"}
    assert {stage["state"] for stage in found["last"]["stages"]} == {"completed"}


def test_no_credential_is_in_an_artifact_or_in_a_log(deployed_root, api):
    _, lines = newest_run(api)
    files = [store.join(deployed_root, path) for path in store.list_tree(deployed_root)]
    texts = ["\n".join(lines).encode(), *map(store.read_bytes, files)]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert not any(os.environ[name].encode() in text for text in texts)


def test_the_command_line_finds_all_of_it_done(tools, prefect_env, deployed_root, small):
    command = ["aura", "run", "--recipe", "smoke", "--root", deployed_root]
    command += [part for assignment in small for part in ("--set", assignment)]
    assert tools.run(command, prefect_env, timeout_s=15).count("kept") == len(
        stage_inputs(recipe("smoke"))
    )
    results = ["aura", "results", "--json", "--root", deployed_root]
    rows = json.loads(tools.run(results, prefect_env))
    assert {"aura", "cascade", "text"} <= {row["model"] for row in rows}


def test_evaluate_then_evaluates_what_is_new_and_nothing_else(
    tools, prefect_env, deployed_root, small, api
):
    before = artifacts(deployed_root)
    overrides = [*small, "evaluate.splits=[heldout, voice]"]
    root = deployed_root
    run_and_watch(tools, prefect_env, "evaluate", recipe="smoke", root=root, overrides=overrides)
    tasks, _ = newest_run(api)
    assert {name.split()[0] for name in tasks} == {"evaluate", "report"}
    new = artifacts(root) - before
    assert {path.split("/")[0] for path in new} <= {"evaluate", "report", "cells"}
    spec = plan(override(recipe("smoke"), overrides), root)["evaluate"]
    counts = require_manifest(spec.uri).counts
    assert counts["cells_made"] == counts["cells"] / 2, "one of two splits was there"


def test_a_mistake_fails_the_run_by_its_own_words(tools, prefect_env, tmp_path, api):
    with pytest.raises(AssertionError):
        run_and_watch(tools, prefect_env, "evaluate", recipe="smoke", root=str(tmp_path))
    flow_run = api("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert "run stage" in flow_run["state"]["message"]
    assert not list(tmp_path.iterdir())


def test_a_failed_stage_says_why_in_its_state(tools, prefect_env, tmp_path, api):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "missing.wav", "text": "hello"}\n')
    overrides = [f"ingest.manifest={manifest}"]
    root = str(tmp_path / "root")
    with pytest.raises(AssertionError):
        run_and_watch(
            tools, prefect_env, "teacher-cache", recipe="smoke", root=root, overrides=overrides
        )
    failed = api("task_runs/filter", {"sort": "END_TIME_DESC", "limit": 1})[0]
    assert failed["state_type"] == "FAILED"
    assert "rejected" in failed["state"]["message"]
    assert "rejected" in tools.run(["aura", "status"], prefect_env)


def test_up_again_starts_what_is_missing_and_nothing_else(tools, prefect_env):
    state = Path(prefect_env["AURA_SERVER_HOME"], "state.json")
    before = json.loads(state.read_text())
    said = tools.run(["aura", "up"], prefect_env)
    assert "the server is already running" in said
    assert "the worker is already running" in said
    assert json.loads(state.read_text()) == before
    os.kill(before["worker_pid"], signal.SIGKILL)
    tools.wait_for(lambda: "worker   none" in tools.run(["aura", "status"], prefect_env), "its end")
    said = tools.run(["aura", "up"], prefect_env)
    assert "the worker is already running" not in said
    after = json.loads(state.read_text())
    assert after["server_pid"] == before["server_pid"]
    assert after["worker_pid"] != before["worker_pid"]
    assert "worker   online" in tools.run(["aura", "status"], prefect_env)
