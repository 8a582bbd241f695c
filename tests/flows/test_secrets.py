"""A secret in the environment is nowhere in what a run writes or says."""

import os
import shutil
from pathlib import Path

import pytest

from tests.aura_command import run_aura

SECRET = "planted-8f1c2e-secret"
NAMES = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "OPENAI_API_KEY",
    "PREFECT_SERVER_API_AUTH_STRING", "WANDB_API_KEY",
)  # fmt: skip


def files_with(secret, folder):
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return [path for path in paths if secret.encode() in path.read_bytes()]


@pytest.fixture
def root(smoke_root, tmp_path):
    """The smoke run's artifacts, with the report still to be made."""
    copy = tmp_path / "root"
    shutil.copytree(smoke_root, copy, copy_function=os.link)
    shutil.rmtree(copy / "report")
    return copy


def test_a_planted_secret_is_in_no_spec_manifest_report_log_or_database(root, tmp_path):
    home = tmp_path / "prefect"
    environment = os.environ | dict.fromkeys(NAMES, SECRET) | {"PREFECT_HOME": str(home)}
    said = ""
    for command in (["explain"], ["run", "--dry-run"], ["run"]):
        arguments = (*command, "--recipe", "smoke", "--root", root)
        result = run_aura(*arguments, timeout_s=120, environment=environment)
        assert result.returncode == 0, result.stderr
        said += result.stdout + result.stderr
    assert SECRET not in said
    report = next((root / "report").iterdir())
    written = {path.name for path in report.iterdir()}
    assert {"spec.json", "manifest.json", "report.html"} <= written
    assert list(home.rglob("*.db")), "the server's database is among what is searched"
    for folder in (root / "report", home):
        assert files_with(SECRET, folder) == []
    # The search itself finds what is there.
    (home / "bait").write_text(f"x{SECRET}x")
    assert files_with(SECRET, home) == [home / "bait"]
