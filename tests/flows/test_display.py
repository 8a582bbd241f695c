"""The lines at the end of a run say what was measured, and leave out what was not."""

import subprocess
import sys
from pathlib import Path

import pytest

from aura_core.config.recipes import recipe
from aura_core.evaluation.results import Row, write_results
from aura_core.stages import plan
from flows.display import closing_lines, summary_lines
from flows.options import Selection
from tasks.stages import StageRun
from tests.finished import finish


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


def test_a_line_a_stage_and_a_total(specs):
    lines = summary_lines(
        [
            StageRun(specs["ingest"], True, 0.01, None, 0, 1_000_000),
            StageRun(specs["teacher_cache"], False, 12.3, 20.5, 1_000_000, 2_500_000),
            StageRun(on_gpus(specs["distil"]), False, 100.0, None, 3_500_000, 0),
        ]
    )
    assert len(lines) == 4
    kept, local, remote, total = lines
    assert kept.split()[:2] == ["kept", "ingest"]
    assert " s " not in kept
    assert kept.endswith("1.0 MB there")
    assert local.split()[:2] == ["done", "teacher_cache"]
    assert "12.3 s" in local
    assert "20.5 CPU s" in local
    assert "GPU" not in local
    assert "1.0 MB read" in local
    assert local.endswith("2.5 MB written")
    assert "100.0 s" in remote
    assert "200.0 GPU s" in remote
    assert "CPU" not in remote, "nobody here knows what a cluster took"
    assert total == "3 stages in 112 s, 1 of them kept"
    assert len({line.rindex(" MB ") for line in lines[:3]}) == 1, "one below the other"


def on_gpus(spec):
    runtime = spec.runtime.model_copy(update={"workers": 4, "gpus_per_worker": 0.5})
    return spec.model_copy(update={"runtime": runtime})


def complete(spec, created_at="2026-01-01"):
    finish(spec, created_at)
    if spec.stage == "evaluate":
        write_results(spec.uri, [row("aura", 0.88), row("cascade", 0.1)])


def row(model, wer):
    return Row(
        model=model,
        task="transcribe/heldout",
        metric="wer",
        value=wer,
        ci_low=wer,
        ci_high=wer,
        n=80,
    )


def test_a_run_ends_with_what_it_reached_where_and_what_next(specs, tmp_path):
    complete(specs["evaluate"])
    reached, where, further = closing_lines(specs, specs["report"], [])
    assert reached == "reached: AuRA on 80 held-out clips: WER 88.0% (cascade 10.0%)"
    assert where == f"report: {specs['report'].uri}/report.html"
    assert further.endswith(f"aura demo {tmp_path}  # a page to speak to it")


def test_an_older_run_is_spoken_to_by_its_evaluation(specs, tmp_path):
    later = plan(recipe("demo"), str(tmp_path))["evaluate"]
    complete(specs["evaluate"])
    complete(later, "2026-01-02")
    further = closing_lines(specs, specs["report"], [])[2]
    assert f" demo {specs['evaluate'].uri}  #" in further


def test_a_run_that_was_not_evaluated_says_so_and_how_to_go_on(specs):
    complete(specs["ingest"])
    rest = ["--recipe", "smoke", "--set", "distil.targets={a: 1}"]
    reached, where, further = closing_lines(specs, specs["ingest"], rest)
    assert reached == "reached: ingest, no student yet"
    assert where == f"artifact: {specs['ingest'].uri}"
    assert "aura run --recipe smoke --set 'distil.targets={a: 1}'  #" in further
    complete(specs["distil"])
    assert closing_lines(specs, specs["distil"], rest)[0] == "reached: a student, not evaluated yet"


def test_the_next_command_works_as_it_is_printed(specs, tmp_path, monkeypatch):
    complete(specs["evaluate"])
    monkeypatch.chdir(tmp_path.parent)
    own = Path(sys.executable).with_name("aura")
    for path in (str(own.parent), "/nowhere"):
        monkeypatch.setenv("PATH", path)
        command = closing_lines(specs, specs["report"], [])[2].removeprefix("next: ")
        assert command.startswith("aura demo" if path != "/nowhere" else f"{own} demo")
        assert f"demo {tmp_path.name}  #" in command
        # Help instead of a server, which would load a model first.
        asked = command.replace("#", "--help #")
        told = subprocess.run(["/bin/sh", "-c", asked], capture_output=True, text=True, check=True)
        assert "Usage: aura demo" in told.stdout


def test_a_selection_is_told_as_the_arguments_it_came_from():
    selection = Selection(
        recipe="smoke", manifest="my calls.jsonl", pseudo_label=True,
        benchmarks=("spoken_facts",), assignments=("distil.seed=1",), root="r",
    )  # fmt: skip
    assert selection.arguments == [
        "--recipe", "smoke", "--manifest", "my calls.jsonl", "--pseudo-label",
        "--benchmark", "spoken_facts", "--set", "distil.seed=1", "--root", "r",
    ]  # fmt: skip
