"""What ends the command from outside: signals, readers that leave, disks that are full."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.aura_command import AURA

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def begin(*arguments, **options):
    return subprocess.Popen(
        [AURA, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def shell(line, **options):
    """Run a line of bash in which $AURA is the command; return what it has printed and told."""
    result = subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"AURA": str(AURA)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    return result.stdout, result.stderr


def catches_sigterm(process):
    """Whether the command's own handlers are there; before, Python itself starts."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1]
    return process.poll() is not None or bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def interrupted(arguments, after_s, tools, number=signal.SIGINT, **options):
    """Send a signal to a command and all it has started; return its exit code and stderr."""
    process = begin(*arguments, **options)
    tools.wait_for(lambda: catches_sigterm(process), "the handlers")
    time.sleep(after_s)
    if process.poll() is None:
        os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported_is_one_line(tools, number):
    assert interrupted(["recipes"], 0, tools, number) == (128 + number, "stopped\n")


KILLED = """
import os, signal
from flows.interrupt import interrupt
interrupt.catch(in_order=True)
try:
    {block}:
        {kill}
except BaseException as error:
    print(type(error).__name__, interrupt.line)
"""
KILL = "os.kill(os.getpid(), signal.SIGINT)"


def killed(block, kill, folder):
    return subprocess.run(
        [sys.executable, "-c", KILLED.format(block=block, kill=kill)],
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("if True", "stopped"),
        ("with interrupt.resumable()", "stopped; the same command goes on where it was"),
    ],
)
def test_only_what_goes_on_where_it_was_is_said_to(block, told, tmp_path):
    assert killed(block, KILL, tmp_path).stdout == f"StoppedError {told}\n"


def test_a_signal_that_an_import_would_swallow_ends_the_command(tmp_path):
    swallowing = f"import os, signal\ntry:\n    {KILL}\nexcept BaseException:\n    pass\n"
    (tmp_path / "swallowing.py").write_text(swallowing)
    result = killed("if True", "import swallowing; print('went on')", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "stopped\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "--help", "recipes", "results", "explain --recipe smoke", "run --recipe smoke --dry-run",
        "cache ls", "bench-data list", "bench latency --help", "compare a b", "status",
        "transcribe a.wav --model nowhere", "chat nowhere", "serve nowhere", "export --to model",
    ],
)  # fmt: skip
def test_ctrl_c_at_any_moment_is_one_line(tools, tmp_path, command):
    began = time.monotonic()
    whole = begin(*command.split(), cwd=tmp_path)
    whole.communicate(timeout=120)
    took_s = time.monotonic() - began
    ends = []
    for part in range(5):
        after_s = took_s * (part + random.random()) / 6
        code, stderr = interrupted(command.split(), after_s, tools, cwd=tmp_path)
        assert "Traceback" not in stderr, (after_s, stderr)
        ends.append((code, stderr) if code == 130 else code)
    assert (130, "stopped\n") in ends
    # Where Python itself ends, a signal kills it: for a shell that is 130, too.
    assert set(ends) <= {(130, "stopped\n"), whole.returncode, -signal.SIGINT}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [1, 4, 9])
def test_ctrl_c_in_a_run_says_that_it_goes_on(tools, quiet_env, tmp_path, after_s):
    root = tmp_path / "root"
    command = ["run", "--recipe", "smoke", "--root", root, "--until", "ingest"]
    endless = ["--set", "ingest.demo.train_utterances=5000"]
    code, stderr = interrupted([*command, *endless], after_s, tools, env=quiet_env)
    assert "Traceback" not in stderr
    assert code == 130, stderr
    assert stderr.splitlines()[-1].startswith("stopped")
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize("command", ["--help", "bench-data list", "recipes"])
def test_a_reader_that_leaves_is_no_error(command):
    # The reader has left before the first line comes.
    assert shell(f"$AURA {command} | true; echo ${{PIPESTATUS[0]}}") == ("141\n", "")


def test_standard_output_that_is_full_is_one_line():
    printed, told = shell("$AURA recipes >/dev/full; echo $?")
    assert printed == "2\n"
    assert told.startswith("error: No space left on device")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [("recipes >&-", 0), ("recipes 2>&-", 0), ("nope 2>&-", 2), ("nope 2>/dev/full", 2)],
)
def test_streams_that_are_closed_or_full_change_no_exit_code(line, code):
    printed, told = shell(f"$AURA {line}; echo $?")
    assert printed.splitlines()[-1] == str(code)
    assert "error" not in printed
    assert told == ""


@pytest.mark.parametrize("root", ["/proc/foo", "/sys/foo", "/dev/null/foo"])
def test_a_root_that_cannot_be_made_is_told_at_once(root):
    process = begin("run", "--recipe", "smoke", "--root", root)
    printed, told = process.communicate(timeout=120)
    assert (process.returncode, printed) == (2, "")
    assert told.startswith("error: ")
    assert root in told
    assert told.count("\n") == 1


def test_a_disk_that_takes_no_byte_is_told_at_once(tmp_path):
    process = begin(
        "run", "--recipe", "smoke", "--root", tmp_path / "root",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2
    assert told.startswith(f"error: File too large: {tmp_path}/root; ")
    assert told.count("\n") == 1


def test_a_read_only_target_is_told_before_a_model_is_loaded(tools, tmp_path):
    audio = tmp_path / "a.wav"
    audio.touch()
    with tools.small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for command in (
            ["transcribe", audio, "--model", "nowhere", "--to", disk / "out"],
            ["run", "--recipe", "smoke", "--root", disk / "root"],
            ["bench-data", "get", "voicebench_openbookqa", "--to", disk / "data"],
        ):
            process = begin(*command)
            _, told = process.communicate(timeout=120)
            assert process.returncode == 2, told
            assert told.startswith(f"error: Read-only file system: {command[-1]}; ")
            assert told.count("\n") == 1
