"""Rows for Prefect's UI, and a server that is away."""

import logging

import httpx

from aura_core.evaluation.table import Row, write_results
from aura_core.explain import Difference, StageStatus
from aura_core.pipeline import plan
from aura_core.recipes import recipe
from flows import ui_artifacts


def test_a_miss_is_explained(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["distil"]
    miss = StageStatus(spec, False, "f" * 64, Difference("lora.rank", 8, 16))
    row = ui_artifacts.explanation_row(miss)
    assert (row["stage"], row["state"]) == ("distil", "run")
    assert "lora.rank: 8" in row["why"]
    assert ui_artifacts.explanation_row(StageStatus(spec, True))["why"] == ""


def test_a_figure_has_its_interval_and_n():
    values = {"model": "aura", "task": "t/heldout", "metric": "wer", "n": 80}
    row = ui_artifacts.result_row(Row(**values, value=0.02, ci_low=0.008, ci_high=0.034))
    assert row["value"] == "0.020"
    assert row["95% interval"] == "0.008 to 0.034"
    assert row["n"] == 80


def test_the_table_says_who_wrote_its_references(tmp_path, monkeypatch):
    values = {"model": "aura", "task": "transcribe/heldout", "metric": "wer", "n": 80}
    row = Row(**values, value=0.02, ci_low=0.008, ci_high=0.034)
    write_results(str(tmp_path), [row], (), {row.task: "whisper:small"})
    published = []
    monkeypatch.setattr(
        ui_artifacts, "create_table_artifact", lambda **shown: published.append(shown)
    )
    ui_artifacts.publish_results(str(tmp_path))
    [shown] = published
    assert len(shown["table"]) == 1
    assert "written by the ASR whisper:small, not by people" in shown["description"]


def test_a_server_that_is_away_ends_no_run(tmp_path, monkeypatch, caplog):
    def fail(**_):
        raise httpx.ConnectError("gone")

    monkeypatch.setattr(ui_artifacts, "create_table_artifact", fail)
    with caplog.at_level(logging.WARNING, logger="aura"):
        ui_artifacts.publish_explanation(plan(recipe("smoke"), str(tmp_path)))
    assert "publish_explanation: not shown" in caplog.text
    assert "gone" in caplog.text
