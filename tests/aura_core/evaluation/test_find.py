import json
from pathlib import Path

import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.evaluation.find import figures_of, find_evaluation, origin_of
from aura_core.evaluation.results import Row, write_results
from aura_core.stages import plan
from tests.finished import finish


@pytest.fixture
def root(tmp_path):
    """Two evaluations, a report of the first, and a corpus."""
    made = [
        ("evaluate", "abc0" * 3, {}, "2026-01-01"),
        ("evaluate", "abd1" * 3, {}, "2026-01-02"),
        ("report", "fff0" * 3, {"evaluate": f"{tmp_path}/evaluate/{'abc0' * 3}"}, ""),
        ("ingest", "eee0" * 3, {}, ""),
    ]
    for stage, name, inputs, created_at in made:
        manifest = Manifest(
            stage=stage, stage_version=1, fingerprint=name * 5, identity={}, inputs=inputs,
            files=[], provenance={"created_at": created_at},
        )  # fmt: skip
        write_manifest(f"{tmp_path}/{stage}/{name}", manifest)
    return str(tmp_path)


def test_an_evaluation_is_found_by_uri_report_prefix_and_root(root):
    first, second = (f"{root}/evaluate/{name * 3}" for name in ("abc0", "abd1"))
    for name in (first, f"{first}/", f"{root}/report/{'fff0' * 3}", "abc0", "fff", "abc0" * 16):
        assert find_evaluation(name, root) == first
    for name in ("abd", root):
        assert find_evaluation(name, root) == second


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ab", "no evaluation is called 'ab'"),
        ("ab" + "0" * 3, "begins with 'ab000'"),
        ("/nowhere", "no evaluation is called '/nowhere'"),
        ("", "no evaluation is called ''"),
    ],
)
def test_what_is_none_is_said_in_one_line(root, name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AuraError, match=message):
        find_evaluation(name, root)


def test_a_prefix_of_several_names_them(root):
    make = Manifest(stage="evaluate", stage_version=1, fingerprint="x", identity={}, inputs={},
                    files=[])  # fmt: skip
    write_manifest(f"{root}/evaluate/abc0ffff0000", make)
    with pytest.raises(AuraError, match=r"begins several: .*abc0abc0abc0, .*abc0ffff0000"):
        find_evaluation("abc0", root)


def test_an_artifact_of_another_stage_is_refused(root):
    with pytest.raises(AuraError, match="an artifact of ingest, no evaluation"):
        find_evaluation(f"{root}/ingest/{'eee0' * 3}", root)


@pytest.fixture
def specs(tmp_path):
    """Recipe `smoke` as if every stage but the report were made."""
    specs = plan(recipe("smoke"), str(tmp_path))
    for spec in specs.values():
        finish(spec)
    return specs


def rows(**values):
    return [
        Row(model="aura", task=f"transcribe/{split}", metric="wer", value=value, ci_low=0.5,
            ci_high=1.5, n=8)
        for split, value in values.items()
    ]  # fmt: skip


def test_a_student_has_its_recipe_and_its_held_out_wer(specs):
    write_results(specs["evaluate"].uri, rows(voice=1.5, heldout=0.9))
    told = figures_of(specs["distil"].uri)
    assert told == "recipe smoke, held-out WER 0.90 (0.50 to 1.50, n = 8)"


def test_another_split_is_named_where_none_is_called_heldout(specs):
    write_results(specs["evaluate"].uri, rows(test=0.4))
    assert "test WER 0.40" in figures_of(specs["distil"].uri)


def test_damaged_figures_stop_nobody(specs):
    Path(specs["evaluate"].uri, "results.json").write_text("{")
    assert figures_of(specs["distil"].uri) == "recipe smoke, WER not readable"


def test_a_folder_says_what_its_config_has(tmp_path):
    config = {"model_type": "aura", "origin": "made by hand"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert origin_of(str(tmp_path)) == f"{tmp_path}: made by hand"
    (tmp_path / "config.json").write_text("{}")
    assert origin_of(str(tmp_path)) == str(tmp_path)
