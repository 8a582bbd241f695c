"""Someone who has the exported folder, and a fresh environment with what its card tells to install.

The five lines of the card are run there as they are printed, on a file of theirs.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import soundfile

from tests.voiced import voiced

ROOT = Path(__file__).parents[3]
MAX_NEW_TOKENS = 16
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=kept | variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(smoke_root, tmp_path_factory) -> Path:
    """A folder outside the project: a model `model` and a recording `question.wav`."""
    folder = tmp_path_factory.mktemp("stranger")
    run(
        sys.executable, "-m", "flows.main", "export", "--recipe", "smoke", "--root", smoke_root,
        "--to", folder / "model",
    )  # fmt: skip
    # An untrained student rambles on: let it be brief.
    settings = folder / "model" / "generation_config.json"
    brief = json.loads(settings.read_text()) | {"max_new_tokens": MAX_NEW_TOKENS}
    settings.write_text(json.dumps(brief))
    # At 16 kHz, so that the folder's resampler and ours, which differ a little, have no say.
    soundfile.write(folder / "question.wav", voiced(2), 16_000)
    return folder


@pytest.fixture(scope="module")
def python(folder, tmp_path_factory) -> Path:
    """The interpreter of a new environment with the three packages; torch as infra/install.sh."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    version = re.search(r"^torch_version=(\S+)", (ROOT / "infra/install.sh").read_text(), re.M)
    assert version is not None
    # Builds without the gigabytes of CUDA.
    torch_builds = (
        [f"torch=={version[1]}+cpu"],
        [f"torch=={version[1]}", "--index-url", CPU_WHEELS, "--retries", "0"],
    )
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    built = any(
        subprocess.run([*pip, *build], capture_output=True, check=False).returncode == 0
        for build in torch_builds
    )
    assert built, "no build of torch could be installed"
    card = (folder / "model" / "README.md").read_text()
    [install] = re.findall(r"^`pip install (.*)`$", card, re.M)
    run(*pip, *shlex.split(install))
    return python


@pytest.mark.slow
def test_the_cards_five_lines_answer_in_a_fresh_environment(folder, python):
    card = (folder / "model" / "README.md").read_text()
    [lines] = re.findall(r"^```python\n(.*?)^```", card, re.M | re.S)
    assert len(lines.splitlines()) == 5
    (folder / "five_lines.py").write_text(lines)
    installed = run(python, "-m", "pip", "list", "--format=freeze", cwd=folder)
    assert not re.search(r"^(aura|peft|openai-whisper|librosa)==", installed, re.M)
    cache = {"HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    answer = run(python, "five_lines.py", cwd=folder, **cache)
    assert answer.strip()
    ours = run(
        sys.executable, "-m", "flows.main", "ask", folder / "question.wav", "Transcribe.",
        "--model", folder / "model", "--max-new-tokens", str(MAX_NEW_TOKENS),
    )  # fmt: skip
    assert answer.strip() == ours.strip()
