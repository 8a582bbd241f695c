"""The `aura` command as a user meets it."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest

from aura_core.artifacts.manifest import newest_artifact
from aura_core.config.recipes import RECIPES, recipe
from aura_core.errors import AuraError
from aura_core.stages import plan, stage_inputs
from flows.cli import recipes, settings_
from flows.request import load_config
from tests.aura_command import run_aura


@pytest.mark.parametrize("name", RECIPES)
def test_a_printed_recipe_is_a_config_file_of_the_same_run(name, tmp_path, capsys):
    recipes(name)
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    for base in ("demo", name):
        read = load_config(base, str(path), [])
        # Fingerprints are made from this text: 1 and 1.0 differ in it.
        assert read.model_dump_json() == recipe(name).model_dump_json()
    if "qwen" not in name:
        assert plan(load_config("demo", str(path), []), "/r") == plan(recipe(name), "/r")


def test_recipes_are_listed_by_name(capsys):
    recipes()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


def test_settings_of_a_group_have_type_value_and_meaning(capsys):
    settings_("distil.lora", name="smoke", as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert all(row["name"].startswith("distil.lora.") for row in rows)
    assert rows[0] == {
        "name": "distil.lora.rank",
        "type": "int >= 1",
        "value": 128,
        "description": "of the adapted blocks' LoRA",
    }
    settings_("distil.lora.rank", name="smoke")
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["distil.lora.rank", "int"]


def test_an_unknown_group_says_what_was_meant():
    with pytest.raises(AuraError, match=r"no setting distil\.lroa: did you mean distil\.lora\?"):
        settings_("distil.lroa")


aura = partial(run_aura, timeout_s=300)


def both(assignment: str) -> tuple[str, ...]:
    """The same setting for the student and for the text LoRA it starts from."""
    return ("--set", f"distil.{assignment}", "--set", f"text_lora.{assignment}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--recipe", "dmeo"), "no recipe 'dmeo'"),
        (("run", "--set", "distil.lora.rank=0"), "distil.lora.rank: "),
        (("run", "--set", "distil.lora.rank"), "expected stage.key=value"),
        (("run", "--set", "distil.seed=[1"), "neither YAML nor JSON"),
        (("run", "--only", "evaluate", "--until", "distil"), "--only evaluate contradicts --until"),
        (("run", "--set", "lora.rnk=8"), "did you mean text_lora.lora.rank or distil.lora.rank?"),
        (("run", "--set", "distill.seed=1"), "did you mean distil.seed? distil has runtime, "),
        (("run", "--benchmark", "nope"), "`aura bench-data list` lists them"),
        (("run", "--recipe", "whisper-small-qwen"), "name it by --manifest"),
        (("run", "--dry-run", "--root", "/proc/foo"), "root /proc/foo cannot be written to"),
        (("transcribe",), "name an audio file"),
        (("settings", "distill"), "did you mean distil?"),
        (("recipes", "dmeo"), "did you mean demo?"),
        (("help", "rnu"), "did you mean run?"),
        (("run", "--until", "nowhere"), "no stage 'nowhere': choose one of ingest"),
        (("run", "--config", "/nowhere.yaml"), "/nowhere.yaml"),
        (("run", "--manifest", "/nowhere.jsonl"), "/nowhere.jsonl does not exist"),
        (("run", *both("llm=pinned:none")), "no pinned model 'none'"),
        (("run", *both("llm=/no/model")), "no such file or folder"),
        (("run", "--launch", "http://127.0.0.1:9", "--recipe", "smoke"), "no Ray job server"),
        (("explain", "--recipe", "dmeo"), "no recipe 'dmeo'"),
        (("bench", "latency", "--models", "arua"), "no model 'arua'"),
        (("bench", "latency", "--seconds", "5", "31"), "at most 30 seconds"),
        (("bench", "streaming", "--seconds", "5"), "at least two lengths"),
        (("bench", "streaming", "--chunk-positions", "1"), "whole numbers from 2"),
        (("results", "--root", "/nowhere"), "no finished evaluate below /nowhere"),
        (("run", "--nope"), "--nope"),
        (("rnu",), "rnu"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    result = aura(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in result.stderr


def test_the_version_is_that_of_the_package():
    result = aura("--version")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == metadata.version("aura")


def test_an_s3_root_that_does_not_answer_is_told_at_once(tmp_path):
    # Nobody listens on this port.
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    for arguments in (("results",), ("run", "--dry-run"), ("cache", "ls")):
        result = aura(*arguments, "--root", "s3://lab/x", cwd=tmp_path, environment=environment)
        assert result.returncode == 2, result.stderr
        assert result.stderr.startswith("error: s3://lab/x is out of reach: "), result.stderr


def test_a_mistake_found_by_a_driver_is_told_in_its_own_words(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "missing.wav", "text": "hello"}\n')
    result = aura("run", "--manifest", manifest, "--root", tmp_path / "r", "--until", "ingest")
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("error: ") == 1
    assert "rejected" in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [(), ("run",), ("explain",), ("results",)])
def test_help_teaches_by_example(command):
    result = aura(*command, "--help")
    assert result.returncode == 0
    assert f"aura {command[0] if command else 'run'} --" in result.stdout


def test_recipes_are_listed():
    result = aura("recipes")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(RECIPES)


def test_a_run_of_hits_ends_with_three_lines_and_imports_no_torch_and_no_prefect(smoke_root):
    code = (
        "import sys, flows.main\n"
        "try:\n    flows.main.main()\n"
        "finally:\n    print(sorted({'torch', 'prefect', 'ray'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "run", "--recipe", "smoke", "--root", smoke_root],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    reached, report, further, imported = result.stdout.splitlines()
    assert imported == "[]", result.stderr
    assert reached.startswith("reached: AuRA on 2 held-out clips: WER ")
    assert further.startswith("next: ")
    assert f" demo {smoke_root}  #" in further
    path = Path(report.removeprefix("report: "))
    assert path.parent.parent == Path(smoke_root, "report")
    assert "<html" in path.read_text()[:200]
    assert [line.split()[:2] for line in result.stderr.splitlines()] == [
        ["kept", stage] for stage in stage_inputs(recipe("smoke"))
    ]


def test_the_root_comes_from_the_environment(smoke_root, monkeypatch):
    monkeypatch.setenv("AURA_ROOT", smoke_root)
    result = aura("run", "--recipe", "smoke")
    assert result.returncode == 0, result.stderr
    assert smoke_root in result.stdout


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(smoke_root):
    before = sorted(Path(smoke_root).rglob("*"))
    result = aura(
        "run", "--recipe", "smoke", "--root", smoke_root, "--dry-run",
        "--set", "teacher_cache.shard_utterances=10",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert lines["root"].split()[1:] == [smoke_root, "can", "be", "written", "to"]
    assert lines["model"].split()[1].startswith("pinned:")
    assert lines["ingest"].split()[2] == "kept"
    assert "24 utterances" in lines["teacher_cache"]
    assert "in 3 shards" in lines["teacher_cache"]
    assert "4 steps (align 2, learn 2), 16 clips" in lines["distil"]
    assert sorted(Path(smoke_root).rglob("*")) == before


def test_explain_names_the_changed_field_and_the_stages_it_reaches(smoke_root):
    result = aura(
        "explain", "--recipe", "smoke", "--root", smoke_root, "--set", "distil.lora.rank=3"
    )
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "lora.rank: 128" in lines["distil"].replace("\n", " ")
    assert lines["distil"].rstrip().endswith("now 3")
    assert "inputs.distil: " in lines["evaluate"]
    for stage in ("ingest", "teacher_cache", "text_lora"):
        assert lines[stage].split()[2] == "kept"


def test_results_are_rows(smoke_root):
    result = aura("results", "--json", "--root", smoke_root)
    rows = json.loads(result.stdout)
    fields = {"model", "task", "metric", "value", "ci_low", "ci_high", "n"}
    assert all(set(row) - {"slice"} == fields for row in rows)
    assert {row["model"] for row in rows} >= {"aura", "cascade", "text"}
    table = aura("results", "--root", smoke_root).stdout
    assert newest_artifact(smoke_root, "evaluate") in table
    whole = [row for row in rows if "slice" not in row]
    assert len(whole) <= len(table.splitlines()) < len(rows)
    with_slices = aura("results", "--slices", "--root", smoke_root).stdout
    assert len(with_slices.splitlines()) >= len(rows)


def test_a_config_file_is_laid_over_the_recipe_and_set_wins(tmp_path):
    settings = tmp_path / "c.yaml"
    settings.write_text("distil: {seed: 5}\ntext_lora: {seed: 5}\n")

    def fingerprints(*arguments: str) -> list[str]:
        result = aura("explain", "--recipe", "smoke", "--root", tmp_path, *arguments)
        assert result.returncode == 0, result.stderr
        return [line.split()[1] for line in result.stdout.splitlines()[1:]]

    by_file = fingerprints("--config", settings)
    by_set = fingerprints("--set", "distil.seed=5", "--set", "text_lora.seed=5")
    assert by_file == by_set
    assert fingerprints("--config", settings, "--set", "distil.seed=0") == fingerprints(
        "--set", "text_lora.seed=5"
    )
