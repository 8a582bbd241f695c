import json

import pytest

from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import STAGES
from flows.request import choose_stages, load_config, manifest_overrides, resolve_root


@pytest.mark.parametrize(
    ("until", "only", "stages"),
    [
        (None, None, list(STAGES)),
        ("teacher_cache", None, ["ingest", "teacher_cache"]),
        ("distil", None, ["ingest", "teacher_cache", "text_lora", "targets", "distil"]),
        ("report", None, list(STAGES)),
        (None, ["report", "evaluate"], ["benchmark", "evaluate", "report"]),
        ("evaluate", ["evaluate", "distil"], ["distil", "benchmark", "evaluate"]),
    ],
)
def test_chosen_stages_come_in_order_with_what_they_need(until, only, stages):
    assert choose_stages(until, only) == stages


@pytest.mark.parametrize(("until", "only"), [("distill", None), (None, ["eval"])])
def test_an_unknown_stage_names_the_known_ones(until, only):
    with pytest.raises(AuraError, match="choose one of ingest, teacher_cache"):
        choose_stages(until, only)


@pytest.mark.parametrize(
    ("until", "only", "beyond"),
    [
        ("distil", ["evaluate"], "evaluate"),
        ("distil", ["benchmark"], "benchmark"),
        ("evaluate", ["evaluate", "report"], "report"),
    ],
)
def test_only_and_until_must_not_contradict_each_other(until, only, beyond):
    with pytest.raises(AuraError, match=f"--only {beyond} contradicts --until {until}, "):
        choose_stages(until, only)


@pytest.mark.parametrize("name", ["plain.jsonl", "with space: and #.jsonl", "null", "ünï.parquet"])
def test_any_manifest_path_survives_as_an_override(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = override(recipe("smoke"), manifest_overrides(name, pseudo_label=True))
    assert config.ingest.manifest == str(tmp_path / name)
    assert config.ingest.pseudo_label


def test_no_manifest_changes_nothing():
    assert manifest_overrides(None, pseudo_label=False) == []
    assert manifest_overrides("s3://b/m.jsonl", False) == ['ingest.manifest="s3://b/m.jsonl"']


def test_roots_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AURA_ROOT", raising=False)
    assert resolve_root(None) == str(tmp_path / "runs")
    assert resolve_root("x") == str(tmp_path / "x")
    assert resolve_root("s3://bucket/x/") == "s3://bucket/x"
    assert resolve_root("file:///x") == "/x"
    monkeypatch.setenv("AURA_ROOT", "elsewhere")
    assert resolve_root(None) == str(tmp_path / "elsewhere")


def test_settings_come_from_yaml_or_json(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"distil": {"seed": 7}}))
    assert load_config("smoke", str(path), []).distil.seed == 7
    assert load_config("smoke", str(path), ["distil.seed=8"]).distil.seed == 8
