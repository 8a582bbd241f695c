"""Completion as bash asks for it, after `aura --install-completion`."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.aura_command import AURA, run_aura


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    environment = os.environ | {"HOME": str(folder)}
    result = run_aura(
        "--install-completion", "--shell", "bash", timeout_s=120, environment=environment
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["aura", "comp"], {"compare"}),
        (["aura", "run", "--unt"], {"--until"}),
        (["aura", "run", "--until", "te"], {"teacher_cache"}),
        (["aura", "run", "--recipe", "demo"], {"demo", "demo-long"}),
        (["aura", "run", "--set", "distil.lora.ra"], {"distil.lora.rank=128"}),
        (["aura", "run", "--benchmark", "spoken_f"], {"spoken_facts"}),
        (["aura", "settings", "distil.lor"], {"distil.lora"}),
    ],
)
def test_bash_offers_names_on_tab(home, words, offered):
    script = f"""
        source ~/.bashrc
        COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}
        _aura
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{AURA.parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"HOME": str(home), "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = set(result.stdout.split())
    assert offered <= found, result.stderr
    assert all(each.startswith(words[-1]) for each in found)
