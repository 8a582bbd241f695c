"""Rows for Prefect's UI, and a server that is away."""

import logging
import os
import pty
import re
import sys
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from aura_core.config.recipes import recipe
from aura_core.evaluation.results import Row, write_results
from aura_core.explain import Difference, StageStatus
from aura_core.stages import plan
from flows import local_prefect, ui_artifacts
from tests.aura_command import AURA

SAID = (
    r"run  ingest \w{12}",
    r"(\d\d:)+\d\d ingest: 1 parts, 1 to make",
    r"ingest: 100% 3/3 \[.*",
    r"done ingest \w{12} in \d+ s",
    r"1 stages in \d+ s, 0 of them kept",
)


@pytest.fixture(scope="module")
def client_env(tools, quiet_env, tmp_path_factory):
    """The environment of a client of a plain Prefect server."""
    folder = tmp_path_factory.mktemp("server")
    port = tools.free_port()
    command = [*local_prefect.server_command("127.0.0.1", port), "--no-ui"]
    env = quiet_env | {"PREFECT_HOME": str(folder)}
    with tools.background(command, env, folder / "log") as process:
        url = f"http://127.0.0.1:{port}/api"
        local_prefect.wait_until_healthy(url, lambda: process.poll() is None, folder / "log")
        yield env | {"PREFECT_API_URL": url}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", noise, 16000)
    lines = [f'{{"audio_filepath": "{n}.wav", "text": "word {n}"}}\n' for n in range(3)]
    (folder / "m.jsonl").write_text("".join(lines))
    return str(folder / "m.jsonl")


def on_a_terminal(command, env):
    """Run a command on a terminal of its own; return all that is written there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)
    said = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # how Linux tells the end
            break
        if not chunk:
            break
        said += chunk
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    return re.sub(r"\x1b\[[\d;]*m", "", said.decode())


def as_a_flow(manifest, root):
    call = f"aura('smoke', root={root!r}, manifest={manifest!r}, until='ingest')"
    return [sys.executable, "-c", f"from flows.aura import aura; {call}"]


def as_a_command(manifest, root):
    options = ["--root", root, "--manifest", manifest, "--until", "ingest"]
    return [str(AURA), "run", "--recipe", "smoke", *options]


@pytest.mark.parametrize("as_what", [as_a_flow, as_a_command])
def test_stages_steps_and_summary_are_said_once_to_the_server_and_once_on_the_terminal(
    tools, client_env, manifest, tmp_path, as_what
):
    terminal = on_a_terminal(as_what(manifest, str(tmp_path)), client_env)
    api = partial(tools.prefect_api, client_env["PREFECT_API_URL"])
    run = api("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    logs = api("logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    [task] = api("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    for pattern in SAID:
        line, *more = [each for each in logs if re.fullmatch(pattern, each["message"])]
        # A slow machine's bar may be drawn once more when it is done.
        assert not more or "100%" in pattern
        assert line["task_run_id"] == (None if "stages" in pattern else task["id"])
        # There the bar itself is shown.
        assert len(re.findall(pattern, terminal)) == (0 if "100%" in pattern else 1), terminal
    assert "ingest: 100%|" in terminal
    printed = tools.run(["prefect", "flow-run", "logs", run["id"]], client_env)
    assert all(re.search(pattern, printed) for pattern in SAID)
    bars = {"type": {"any_": ["progress"]}, "task_run_id": {"any_": [task["id"]]}}
    [bar] = api("artifacts/filter", {"artifacts": bars})
    assert bar["data"] == 100
    assert Path(tmp_path, "ingest").is_dir()


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
