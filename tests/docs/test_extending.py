"""docs/extending.md, followed to the letter in a copy of the tree."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from transformers import HubertConfig, HubertModel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = ("A corpus layout", "A teacher", "A loss", "A benchmark")
_FENCE = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.S | re.M)
PROGRAMS = {"python": [sys.executable], "aura": [sys.executable, "-m", "flows.main"]}


def blocks(section: str) -> list[tuple[str, str, str]]:
    """(language, title, text) of each block below a heading."""
    _, _, after = PAGE.partition(f"\n## {section}\n")
    return _FENCE.findall(after.partition("\n## ")[0])


def commands(section: str) -> list[str]:
    found = [text for language, _, text in blocks(section) if language == "sh"]
    return "".join(found).splitlines()


def apply_diff(path: Path, diff: str) -> None:
    """Change a file as a diff says; what it shows of the file must be there, once."""
    text = path.read_text()
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{path}: not exactly once there:\n{before}"
        text = text.replace(before, after)
    path.write_text(text)


@pytest.fixture(scope="module", params=SECTIONS)
def followed(request, tmp_path_factory) -> SimpleNamespace:
    """A copy of the tree with all edits of a section made."""
    tree = tmp_path_factory.mktemp("followed") / "aura"
    wanted = ("aura_core", "flows", "tasks", "infra", "tests", "pyproject.toml")
    for name in wanted:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        tree.mkdir(exist_ok=True)
        copy(ROOT / name, tree / name)
    for language, title, text in blocks(request.param):
        if language == "diff":
            apply_diff(tree / title, text)
        elif title:
            assert not (tree / title).exists()
            (tree / title).parent.mkdir(parents=True, exist_ok=True)
            (tree / title).write_text(text)
    bring_what_is_the_users(request.param, tree)
    return SimpleNamespace(section=request.param, tree=tree)


def bring_what_is_the_users(section: str, tree: Path) -> None:
    """The model and the recordings that the page takes for granted."""
    if section == "A corpus layout":
        (tree / "LJSpeech-1.1" / "wavs").mkdir(parents=True)
        lines = [f"LJ{number}|Number {number}.|Number.\n" for number in range(12)]
        (tree / "LJSpeech-1.1" / "metadata.csv").write_text("".join([*lines, "LJ99|Dr.|\n"]))
        for number in range(12):
            noise = 0.1 * np.random.default_rng(number).standard_normal(12_000)
            soundfile.write(tree / "LJSpeech-1.1" / "wavs" / f"LJ{number}.wav", noise, 8_000)
    if section == "A teacher":
        torch.manual_seed(0)
        config = HubertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        )  # fmt: skip
        HubertModel(config).save_pretrained(tree / "models" / "hubert")
    if section == "A benchmark":
        for number in (1, 2):
            noise = 0.1 * np.random.default_rng(number).standard_normal(12_000)
            soundfile.write(tree / "museum" / f"{number}.wav", noise, 8_000)


def run(tree: Path, command: str, **variables: str) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [*PROGRAMS[program], *arguments], cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "160"} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_section_says_what_to_write_and_what_to_run():
    for section in SECTIONS:
        assert {"diff", "sh"} <= {language for language, _, _ in blocks(section)}
        assert any(command.startswith("aura run") for command in commands(section))


def test_what_is_quick_to_run_passes(followed):
    quick = [command for command in commands(followed.section) if command.startswith("python")]
    for command in quick:
        run(followed.tree, command)
    if followed.section == "A benchmark":
        [check] = [each for each in commands(followed.section) if "bench-data" in each]
        assert "2 items, 0 rejected" in run(followed.tree, check)


@pytest.mark.slow
def test_a_run_uses_what_was_added(followed, smoke_root, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(smoke_root, root)
    before = manifests(root)
    said = [
        run(followed.tree, command, AURA_ROOT=str(root))
        for command in commands(followed.section)
        if command.startswith("aura") and "bench-data" not in command
    ]
    made = [each for path, each in manifests(root).items() if path not in before]
    new = {each["stage"]: each for each in made}
    if followed.section == "A corpus layout":
        assert new["ingest"]["counts"]["utterances"] == 12
    if followed.section == "A teacher":
        assert new["teacher_cache"]["identity"]["teacher"] == "models/hubert"
        assert (new["teacher_cache"]["metrics"]["width"], len(new["distil"]["inputs"])) == (32, 2)
    if followed.section == "A loss":
        assert list(new) == ["distil"]
        assert new["distil"]["identity"]["distillation"]["loss"] == "l1"
    if followed.section == "A benchmark":
        assert "museum_guide" in said[-1]
        assert set(new) == {"benchmark", "cells", "evaluate"}
        cells = [each["inputs"] for each in made if each["stage"] == "cells"]
        assert all("benchmark.museum_guide" in inputs for inputs in cells)


def manifests(root: Path) -> dict[Path, dict]:
    return {path: json.loads(path.read_text()) for path in root.glob("*/*/manifest.json")}
