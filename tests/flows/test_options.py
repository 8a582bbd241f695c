"""Completion as bash asks for it, after `aura --install-completion`."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import soundfile
from cyclopts import App

from flows.cli import app
from flows.options import Selection, examples
from flows.request import choose_stages
from tests.aura_command import AURA, run_aura
from tests.voiced import voiced


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


aura = partial(run_aura, timeout_s=300)


def commands(group: App = app, tokens: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in group:
        if not name.startswith("-"):
            yield (*tokens, name)
            yield from commands(group[name], (*tokens, name))


def command(tokens: tuple[str, ...]) -> App:
    found = app
    for token in tokens:
        found = found[token]
    return found


COMMANDS = list(commands())
LEAVES = [each for each in COMMANDS if not list(commands(command(each), each))]
EXAMPLES = [line for tokens in COMMANDS for line in examples(command(tokens))]
# What these show neither trains nor waits for somebody; it reads a finished run at ./runs.
QUICK = ("help", "explain", "results", "compare", "recipes", "settings", "cache", "bench-data list")
# Of somebody's own: another run's fingerprint, a bucket.
ELSEWHERE = ("s3://", "077ce71e", "3781a99d5e69")
MODEL_IN_USE = ("ask", "transcribe", "export --recipe")


def is_one_of(line: str, names: tuple[str, ...]) -> bool:
    return line.removeprefix("aura ").startswith(names) and not any(
        each in line for each in ELSEWHERE
    )


def printed_help(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    return capsys.readouterr().out


def type_name(hint: object) -> str:
    """Of a parameter that may be left out as of one that may not."""
    return str(hint).removeprefix("<class '").removesuffix("'>").removesuffix(" | None")


@pytest.mark.parametrize("tokens", COMMANDS, ids=" ".join)
def test_every_command_begins_with_an_example_of_itself(tokens):
    first = examples(command(tokens))[0]
    assert first.startswith(f"aura {' '.join(tokens)}")


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_a_command_that_is_understood(line):
    tokens = shlex.split(line.removeprefix("aura ").partition(" > ")[0])
    _, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    selection = bound.arguments.get("selection", Selection())
    selection.load()
    choose_stages(bound.arguments.get("until"), bound.arguments.get("only"))


@pytest.mark.parametrize("tokens", LEAVES, ids=" ".join)
def test_help_is_the_same_however_it_is_asked_for_and_its_examples_are_aligned(tokens, capsys):
    shown = printed_help(capsys, *tokens, "-h")
    assert printed_help(capsys, *tokens, "--help") == shown
    assert printed_help(capsys, "help", *tokens) == shown
    lines = [line for line in shown.splitlines() if line.strip().startswith("aura ")]
    assert lines
    assert {len(line) - len(line.lstrip()) for line in lines} == {2}
    assert "--no-" not in shown
    assert "--empty-" not in shown


def test_help_shows_every_command_in_a_group_with_its_example(capsys):
    shown = printed_help(capsys, "help")
    titles = [line.split()[1] for line in shown.splitlines() if line.startswith("╭")]
    assert titles == ["Make", "Use", "Look", "Serve", "Measure", "Help"]
    for name in app:
        if not name.startswith("-"):
            assert examples(app[name])[0] in shown


def test_help_of_what_is_no_command_says_what_was_meant():
    result = aura("help", "cache", "lss")
    assert result.returncode == 2
    assert "no command 'cache lss': did you mean cache ls?" in result.stderr


def test_an_option_is_described_and_has_one_type_in_all_commands():
    types: dict[str, set[str]] = {}
    undescribed = []
    for tokens in LEAVES:
        for argument in command(tokens).assemble_argument_collection(parse_docstring=True):
            if argument.names == ("*",):  # a selection, whose options come by themselves
                continue
            if not argument.parameter.help:
                undescribed.append((tokens, argument.names))
            for name in argument.names:
                types.setdefault(name, set()).add(type_name(argument.hint))
    assert undescribed == []
    assert {name: each for name, each in types.items() if len(each) > 1} == {}


@pytest.fixture
def desk(tmp_path, smoke_root) -> Path:
    """A working folder with a finished run and the audio that examples name."""
    for name in ("runs", "runs-before"):
        (tmp_path / name).symlink_to(smoke_root)
    (tmp_path / "recordings").mkdir()
    for name in ("talk.wav", "request.wav", "recordings/a.wav"):
        soundfile.write(tmp_path / name, voiced(1.0), 16_000)
    return tmp_path


def assert_runs(line: str, folder: Path) -> None:
    words, _, target = line.removeprefix("aura ").partition(" > ")
    result = aura(*shlex.split(words), cwd=folder)
    assert result.returncode == 0, result.stderr
    if target:
        (folder / target).write_text(result.stdout)
        assert aura("explain", "--config", target, cwd=folder).returncode == 0


@pytest.mark.parametrize("line", [each for each in EXAMPLES if is_one_of(each, QUICK)])
def test_an_example_that_trains_nothing_runs(line, desk):
    assert_runs(line, desk)


@pytest.mark.slow
@pytest.mark.parametrize("line", [each for each in EXAMPLES if is_one_of(each, MODEL_IN_USE)])
def test_an_example_of_a_model_in_use_runs(line, desk):
    # The model there is comes from recipe `smoke`.
    assert_runs(line.replace("--recipe demo", "--recipe smoke"), desk)
