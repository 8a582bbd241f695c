"""The files of infra/, and the set-up command on a machine it cannot work on."""

import inspect
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.aura import aura
from flows.request import choose_stages

ROOT = Path(__file__).parents[2]


def deployments() -> dict[str, dict]:
    content = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
    return {deployment["name"]: deployment for deployment in content["deployments"]}


def install(python: Path, venv: Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "infra" / "install.sh", python, venv, "runtime"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_deployments_differ_only_in_what_they_run():
    found = deployments()
    assert set(found) == {"full-pipeline", "teacher-cache", "distill", "evaluate"}
    assert len({deployment["entrypoint"] for deployment in found.values()}) == 1
    assert len({deployment["description"] for deployment in found.values()}) == len(found)
    for deployment in found.values():
        assert set(deployment["parameters"]) <= set(inspect.signature(aura.fn).parameters)


@pytest.mark.parametrize(
    ("name", "last", "number"),
    [
        ("full-pipeline", "report", 8),
        ("teacher-cache", "teacher_cache", 2),
        ("distill", "distil", 5),
        ("evaluate", "report", 3),
    ],
)
def test_each_deployment_runs_its_stages(name, last, number):
    parameters = deployments()[name]["parameters"]
    stages = choose_stages(parameters.get("until"), parameters.get("only"))
    assert (stages[-1], len(stages)) == (last, number)


def test_an_old_python_is_refused_by_name(tmp_path):
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    python.chmod(0o755)
    result = install(python, tmp_path / "venv")
    assert result.returncode == 2
    assert "error: Python 3.9.2 is too old" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_no_python_is_told(tmp_path):
    result = install(tmp_path / "nothing", tmp_path / "venv")
    assert result.returncode == 2
    assert "install Python 3.11 or later" in result.stderr


@pytest.mark.parametrize("script", ["infra/install.sh", ".ci/run"])
def test_scripts_can_be_run_and_parse(script):
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


@pytest.mark.parametrize(
    "target", ["setup", "demo", "test", "lint", "audit", "lock", "upgrade", "clean"]
)
def test_make_knows_its_targets(target):
    command = ["make", "--dry-run", "--directory", ROOT, target]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
