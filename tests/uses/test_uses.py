"""Right and wrong uses of every command, each a process as a user's shell starts it.

None may end with a traceback; what goes wrong is one line `error: ...` and an exit code.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest
import soundfile

from tests.aura_command import run_aura
from tests.voiced import voiced

pytestmark = pytest.mark.slow

OFFLINE = {"HF_HUB_OFFLINE": "1", "AURA_ROOT": ""}
COMMANDS = (
    "", "run", "explain", "results", "recipes", "compare", "up", "down", "status", "export",
    "transcribe", "ask", "chat", "serve", "demo", "cache", "cache ls", "cache stats",
    "cache verify", "cache gc", "bench", "bench teacher", "bench cache", "bench train",
    "bench overhead", "bench scale", "bench latency", "bench streaming", "bench serve",
    "bench-data", "bench-data list", "bench-data get", "bench-data check",
)  # fmt: skip


class Mistake(NamedTuple):
    """Arguments, a part of the one line that is told, and the exit code."""

    arguments: str
    said: str
    exit_code: int = 2


# The words are separated by blanks; the current folder holds what `folder` makes.
MISTAKES = (
    # Of words and options.
    Mistake("rnu", "rnu"),
    Mistake("run demo", "demo"),
    Mistake("run --nope", "--nope"),
    Mistake("run --recipe", "--recipe"),
    Mistake("run --recipe dmeo", "no recipe 'dmeo'"),
    Mistake("run --until nowhere", "no stage 'nowhere'"),
    Mistake("run --only nowhere", "no stage 'nowhere'"),
    Mistake("run --only evaluate --recipe smoke", "not there"),
    Mistake("run --only evaluate --until distil", ""),
    Mistake("run --only benchmark --recipe smoke", "makes nothing of benchmark"),
    Mistake("run --set distil.lora.rank", "expected stage.key=value"),
    Mistake("run --set distil.lora.rank=0", "distil.lora.rank"),
    Mistake("run --set distil.lora.rank=many", "distil.lora.rank"),
    Mistake("run --set distil.lora.rnk=8", "rnk"),
    Mistake("run --set distill.seed=1", "distill"),
    Mistake("run --set distil.seed=[1", "neither YAML nor JSON"),
    Mistake("run --set distil.phases.9.steps=1", "distil.phases"),
    Mistake("run --set =1", ""),
    Mistake("run --set distil.llm=pinned:none --set text_lora.llm=pinned:none", "'none'"),
    Mistake("run --set distil.llm=/no/model --set text_lora.llm=/no/model", "/no/model"),
    Mistake("run --set teacher_cache.teacher=whisper:huge", "huge"),
    Mistake("run --benchmark nope", "nope"),
    Mistake("run --benchmark llama_questions=/nowhere", "/nowhere"),
    Mistake("run --recipe smoke --launch http://127.0.0.1:9", "no Ray job server"),
    Mistake("run --recipe smoke --launch nowhere", "nowhere"),
    Mistake("run --recipe whisper-small-qwen", ""),
    Mistake("explain --recipe dmeo", "no recipe 'dmeo'"),
    Mistake("explain --set nope=1", "nope"),
    Mistake("recipes --nope", "--nope"),
    Mistake("status --nope", "--nope"),
    Mistake("down now", "now"),
    Mistake("up --port many", "--port"),
    Mistake("up --runs 0", "--runs"),
    Mistake("up --port 70000", "--port"),
    # Of files of settings.
    Mistake("run --config nowhere.yaml", "nowhere.yaml"),
    Mistake("run --config folder", "folder"),
    Mistake("run --config broken.yaml", ""),
    Mistake("run --config binary", "binary"),
    Mistake("run --config list.yaml", ""),
    # Of roots.
    Mistake("run --recipe smoke --root file", "is a file"),
    Mistake("run --recipe smoke --root file/below", "file/below"),
    Mistake("run --recipe smoke --root /proc/foo", "/proc/foo"),
    Mistake("run --recipe smoke --root /dev/null/x", "/dev/null/x"),
    Mistake("run --recipe smoke --root s3://", "s3://"),
    Mistake("run --recipe smoke --root gopher://lab/x", "gopher"),
    Mistake("explain --recipe smoke --root file/below", "file/below"),
    Mistake("results", "no finished evaluate"),
    Mistake("results --root file", "is a file"),
    Mistake("results --root file/below", "file/below"),
    Mistake("results --root damaged", "damaged"),
    Mistake("cache ls --root file", "is a file"),
    Mistake("cache stats", "no finished teacher cache"),
    Mistake("cache verify abc", "no finished teacher cache abc"),
    # Of manifests.
    Mistake("run --manifest nowhere.jsonl", "nowhere.jsonl does not exist"),
    Mistake("run --manifest folder", "cannot tell the format"),
    Mistake("run --manifest binary", "cannot tell the format"),
    Mistake("run --manifest broken.parquet", "not a Parquet file"),
    Mistake("run --manifest unreadable.csv/metadata.csv", "not UTF-8"),
    # Of evaluations and models.
    Mistake("compare a", "SECOND"),
    Mistake("compare folder nowhere", "no evaluation is called"),
    Mistake("compare abc123 def456", "begins with 'abc123'"),
    Mistake("compare file/below file/below", "file/below"),
    Mistake("export", "--to"),
    Mistake("export --recipe smoke --to model", "no manifest.json"),
    Mistake("export nowhere --to model", "nowhere"),
    Mistake("export --mode merge --to model", 'Choose from: "merged", "gated"'),
    Mistake("ask", "FILE"),
    Mistake("ask tone.wav", "QUESTION"),
    Mistake("ask nowhere.wav What?", "nowhere.wav"),
    Mistake("ask binary What?", "binary"),
    Mistake("ask folder What?", "folder"),
    Mistake("ask tone.wav What?", "no trained model at"),
    Mistake("ask tone.wav What? --model nowhere", "nowhere is no model"),
    Mistake("ask tone.wav What? --model file/below", "file/below"),
    Mistake("ask tone.wav What? --model damaged-model", "damaged-model"),
    Mistake("transcribe", "name an audio file"),
    Mistake("transcribe folder", "no audio file"),
    Mistake("transcribe tone.wav", "no trained model at"),
    Mistake("transcribe tone.wav --format pdf", "no format 'pdf'"),
    Mistake("transcribe tone.wav --resume", "--to"),
    Mistake("transcribe tone.wav other/tone.wav --to out", "tone.txt"),
    Mistake("transcribe tone.wav --model nowhere --to file", "file"),
    Mistake("transcribe tone.wav --model nowhere --to /proc/foo", "/proc/foo"),
    Mistake("transcribe tone.wav --max-new-tokens few", "--max-new-tokens"),
    Mistake("chat", "runs"),
    Mistake("chat nowhere", "nowhere"),
    Mistake("chat file/below", "file/below"),
    Mistake("serve", "runs"),
    Mistake("serve nowhere --port 0", "nowhere"),
    Mistake("serve --port many", "--port"),
    Mistake("demo nowhere", "nowhere"),
    # Of benchmarks.
    Mistake("bench nope", "nope"),
    Mistake("bench latency --models arua", "no model 'arua'"),
    Mistake("bench latency --seconds 31", "at most 30 seconds"),
    Mistake("bench streaming --seconds 5", "at least two lengths"),
    Mistake("bench scale --utterances 0", "--utterances"),
    Mistake("bench teacher --clips 0", "--clips"),
    Mistake("bench scale --utterances many", "--utterances"),
    Mistake("bench cache --recipe smoke --settings nope", "no setting 'nope'"),
    Mistake("bench-data get nope", "no benchmark 'nope'"),
    Mistake("bench-data get spoken_choice", "made here"),
    Mistake("bench-data get llama_questions --to file", ""),
    Mistake("bench-data check nope folder", "no benchmark 'nope'"),
    Mistake("bench-data check librispeech_test_clean nowhere", "nowhere"),
    Mistake("bench-data check librispeech_test_clean folder", ""),
    Mistake("bench-data check librispeech_test_clean file", ""),
)
RIGHT = (
    "--version",
    "recipes",
    "explain --recipe smoke",
    "explain --recipe smoke --set distil.seed=1 --root new",
    "run --recipe smoke --dry-run",
    "cache ls",
    "cache ls --json",
    "cache gc",
    "bench-data list",
    "bench-data list --json",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with what the uses name; nothing may be changed in it."""
    folder = tmp_path_factory.mktemp("uses")
    for name in ("folder", "other", "unreadable.csv", "damaged/evaluate/0123456789ab",
                 "damaged-model"):  # fmt: skip
        (folder / name).mkdir(parents=True)
    (folder / "file").write_text("text\n")
    for name in ("binary", "binary.jsonl", "broken.parquet", "unreadable.csv/metadata.csv"):
        (folder / name).write_bytes(bytes(range(256)))
    (folder / "broken.yaml").write_text("distil: {seed: [1\n")
    (folder / "list.yaml").write_text("- distil\n")
    (folder / "damaged/evaluate/0123456789ab/manifest.json").write_text("{")
    (folder / "damaged-model/config.json").write_text("{")
    for name in ("tone.wav", "other/tone.wav"):
        soundfile.write(folder / name, voiced(1.0), 16_000)
    return folder


@pytest.fixture
def aura(folder):
    def call(arguments: str, timeout_s: float = 300):
        words = arguments.split()
        return run_aura(*words, timeout_s=timeout_s, cwd=folder, environment=os.environ | OFFLINE)

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(aura, command):
    result = aura(f"{command} --help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"Usage: aura {command}".rstrip() in result.stdout


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.arguments)
def test_a_mistake_is_told_in_one_line(aura, mistake):
    result = aura(mistake.arguments)
    assert "Traceback" not in result.stdout + result.stderr
    assert result.returncode == mistake.exit_code, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert mistake.said in line
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", RIGHT)
def test_a_right_use_succeeds(aura, arguments):
    result = aura(arguments)
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr
    if arguments.endswith("--json"):
        json.loads(result.stdout)
