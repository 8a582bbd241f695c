"""The flow's parameters: what the form and the deployments send, and what `aura run` does."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.utilities.callables import parameter_schema

from aura_core.errors import AuraError
from flows import aura as aura_module
from flows import cli, local_prefect
from flows.aura import aura
from flows.options import Selection

PREFECT_FILE = Path(__file__).parents[2] / "infra" / "prefect.yaml"


class PlannedError(Exception):
    pass


@pytest.fixture
def planned(monkeypatch):
    """Calls the flow as far as to the stages it would run, and returns them."""

    def stop(todo, _launch):
        raise PlannedError(todo)

    monkeypatch.setattr(aura_module, "_run_stages", stop)

    def call(**parameters):
        with pytest.raises(PlannedError) as raised:
            aura.fn(**parameters)
        return raised.value.args[0]

    return call


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "my speech.jsonl"
    path.write_text('{"audio_filepath": "a.wav", "text": "hello"}\n')
    return str(path)


def test_data_and_benchmarks_by_parameter_make_the_plan_that_they_make_on_the_command_line(
    planned, manifest, tmp_path, monkeypatch
):
    root = str(tmp_path / "root")
    by_parameter = planned(
        recipe="smoke", root=root, manifest=manifest, pseudo_label=True,
        benchmarks=["spoken_choice"], overrides=["distil.seed=3"],
    )  # fmt: skip
    monkeypatch.setattr(local_prefect, "run_flow", aura.fn)
    words = ["run", "--recipe", "smoke", "--root", root, "--manifest", manifest, "--pseudo-label"]
    words += ["--benchmark", "spoken_choice", "--set", "distil.seed=3"]
    with pytest.raises(PlannedError) as raised:
        cli.app(words, exit_on_error=False)
    assert by_parameter == raised.value.args[0]
    chosen = Selection("smoke", None, manifest, True, ("spoken_choice",), ("distil.seed=3",), root)
    assert by_parameter == list(chosen.plan().values())
    assert by_parameter[0].identity["manifest"] == manifest
    assert by_parameter[0].identity["pseudo_label"] is True
    assert "benchmark.spoken_choice" in {spec.name for spec in by_parameter}


def test_what_an_untouched_form_sends_changes_nothing(planned, tmp_path):
    fields = parameter_schema(aura).properties
    sent = {name: field["default"] for name, field in fields.items()} | {"recipe": "smoke"}
    root = str(tmp_path)
    assert planned(**sent | {"root": root}) == planned(recipe="smoke", root=root)


def test_an_assignment_wins_over_the_data_by_parameter(planned, manifest, tmp_path):
    where = {"recipe": "smoke", "root": str(tmp_path)}
    bare = planned(**where, manifest=manifest, overrides=["ingest.manifest=null"])
    assert bare == planned(**where)


def test_a_manifest_that_is_not_there_is_named_before_anything_runs(planned, tmp_path):
    with pytest.raises(AuraError, match=r"nowhere\.jsonl does not exist"):
        aura.fn(recipe="smoke", root=str(tmp_path), manifest="/nowhere.jsonl")


def test_a_tracker_without_its_package_is_named_before_anything_runs(
    planned, tmp_path, monkeypatch
):
    monkeypatch.setattr("aura_core.distil.trackers.find_spec", lambda _module: None)
    where = {"recipe": "smoke", "root": str(tmp_path)}
    tracked = ["distil.runtime.trackers={wandb: speech}"]
    with pytest.raises(AuraError, match="pip install wandb"):
        aura.fn(**where, overrides=tracked)
    assert planned(**where, overrides=tracked, until="teacher_cache")
    assert planned(**where, overrides=tracked, launch="http://ray-head:8265")


def test_the_form_has_a_plain_field_with_a_text_for_every_parameter():
    fields = parameter_schema(aura).properties
    kinds = {"string": str, "array": list, "boolean": bool}
    for field in fields.values():
        assert isinstance(field["default"], kinds[field["type"]])
        assert len(field["description"]) > 15
    assert {name: fields[name]["type"] for name in ("manifest", "pseudo_label", "benchmarks")} == {
        "manifest": "string", "pseudo_label": "boolean", "benchmarks": "array",
    }  # fmt: skip


def test_deployments_and_the_schedule_in_their_comments_send_what_the_form_knows():
    text = PREFECT_FILE.read_text()
    schedules = re.sub(r"^    # (?=schedules:|  )", "    ", text, flags=re.MULTILINE)
    deployments = yaml.safe_load(schedules)["deployments"]
    schema = parameter_schema(aura).model_dump() | {"additionalProperties": False}
    scheduled = [each for deployment in deployments for each in deployment.get("schedules", ())]
    assert scheduled
    for each in [*deployments, *scheduled]:
        jsonschema.validate(each["parameters"], schema)
    for each in scheduled:
        schedule = CronSchedule(cron=each["cron"], timezone=each["timezone"])
        sent = {"slug": each["slug"], "parameters": each["parameters"]}
        DeploymentScheduleCreate(schedule=schedule, **sent)
    assert "schedules" not in yaml.safe_load(text)["deployments"][0]
