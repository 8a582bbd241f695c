"""Where a model is from: from its run, and from the folder exported from it."""

import json
from pathlib import Path

import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.chat.origin import figures_of, origin_of
from aura_core.evaluation.table import Row, write_results
from aura_core.pipeline import plan
from aura_core.recipes import recipe


@pytest.fixture
def specs(tmp_path):
    """Recipe `smoke` as if every stage but the report were made."""
    specs = plan(recipe("smoke"), str(tmp_path))
    for spec in specs.values():
        manifest = Manifest(
            stage=spec.stage, stage_version=spec.stage_version, fingerprint=spec.fingerprint,
            identity=spec.identity, inputs=spec.inputs, files=[],
        )  # fmt: skip
        write_manifest(spec.uri, manifest)
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
