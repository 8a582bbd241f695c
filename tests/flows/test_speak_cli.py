"""`aura export`, `aura transcribe` and `aura ask` as a user meets them."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aura_core.chat import run_models
from aura_core.chat.run_models import RunModels
from aura_core.errors import AuraError
from flows import speak_cli
from tests.aura_command import run_aura
from tests.voiced import voiced


class Counting:
    """A model that answers with the instruction and how often it was asked."""

    def __init__(self):
        self.lengths = []

    def reply(self, turns, max_new_tokens, stop=()):
        audio, instruction = turns[0].parts
        self.lengths.append(len(audio))
        return iter([instruction, f" {len(self.lengths)}"])


@pytest.fixture
def heard(monkeypatch):
    """Lengths in samples of what a model is asked about."""
    model = Counting()
    models = RunModels({"aura": lambda: model}, origins={"aura": "trained yesterday"})
    monkeypatch.setattr(run_models, "find_models", lambda *_: models)
    return model.lengths


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "short.wav", voiced(1, rate=8000), 8000)
    # With one moment at which to cut.
    long = np.concatenate([voiced(20), np.zeros(8000), voiced(19.5)])
    soundfile.write(folder / "deep" / "long.flac", long, 16000)
    (folder / "notes.txt").write_text("no audio")
    return folder


def test_a_folder_is_transcribed_file_by_file_in_pieces(heard, recordings, capsys):
    speak_cli.transcribe(recordings, model="m", kind="json")
    long, short = map(json.loads, capsys.readouterr().out.splitlines())
    assert [Path(each["file"]).name for each in (long, short)] == ["long.flac", "short.wav"]
    assert len(long["pieces"]) == 2
    assert long["pieces"][-1]["stop_s"] == 40.0
    assert (sum(heard[:2]), heard[2]) == (640_000, 16_000)


def test_each_line_of_several_files_begins_with_its_file(heard, recordings, capsys):
    speak_cli.transcribe(recordings, model="m")
    out, err = capsys.readouterr()
    long, short = recordings / "deep" / "long.flac", recordings / "short.wav"
    assert out.splitlines() == [
        f"{long}: Transcribe. 1", f"{long}: Transcribe. 2", f"{short}: Transcribe. 3"
    ]  # fmt: skip
    assert err == "model: aura, trained yesterday\n"
    speak_cli.transcribe(short, model="m")
    assert capsys.readouterr().out == "Transcribe. 4\n"


@pytest.mark.parametrize("kind", ["txt", "json", "srt"])
def test_nobody_is_written_down_where_nobody_speaks(heard, recordings, tmp_path, capsys, kind):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000 * 40)
    # Half a minute of noise, and a voice behind it.
    soundfile.write(tmp_path / "noise.wav", noise, 16000)
    part = np.concatenate([noise[: 16000 * 30], np.zeros(8000), voiced(3)])
    soundfile.write(tmp_path / "part.wav", part, 16000)
    out = tmp_path / "out"
    speak_cli.transcribe(
        tmp_path / "noise.wav", tmp_path / "part.wav", model="m", kind=kind, to=out
    )
    assert len(heard) == 1
    assert "Transcribe" not in (out / f"noise.{kind}").read_text()
    assert (out / f"part.{kind}").read_text().count("Transcribe. 1") == 1
    assert f"{tmp_path / 'noise.wav'}: no words in it" in capsys.readouterr().err


def test_pieces_are_in_the_file_as_they_come(monkeypatch, recordings, tmp_path):
    seen = []

    class Looking(Counting):
        def reply(self, turns, max_new_tokens, stop=()):
            seen.append({each.name: each.read_text() for each in (tmp_path / "out").iterdir()})
            return super().reply(turns, max_new_tokens, stop)

    models = RunModels({"aura": Looking})
    monkeypatch.setattr(run_models, "find_models", lambda *_: models)
    long = recordings / "deep" / "long.flac"
    speak_cli.transcribe(long, model="m", to=tmp_path / "out")
    assert seen == [{"long.txt.partial": ""}, {"long.txt.partial": "Transcribe. 1\n"}]
    written = {each.name: each.read_text() for each in (tmp_path / "out").iterdir()}
    assert written == {"long.txt": "Transcribe. 1\nTranscribe. 2\n"}


def test_a_bar_on_the_screen_takes_nothing_from_what_is_piped(recordings):
    """Standard error is a terminal, standard output is not."""
    code = (
        "import sys; from pathlib import Path; from aura_core.chat import run_models\n"
        "from aura_core.chat.run_models import RunModels; from flows import speak_cli\n"
        "class Model:\n"
        "    def reply(self, *_): return iter(['what was said'])\n"
        "run_models.find_models = lambda *_: RunModels({'aura': Model})\n"
        "speak_cli.transcribe(Path(sys.argv[1]))\n"
    )
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code, recordings / "short.wav"], stdout=subprocess.PIPE,
        stderr=theirs, text=True, check=True, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert done.stdout == "what was said\n"


def test_files_are_written_by_name(heard, recordings, tmp_path, capsys):
    speak_cli.transcribe(recordings, model="m", kind="srt", to=tmp_path / "out")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["long.srt", "short.srt"]
    assert (tmp_path / "out" / "short.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01")
    assert capsys.readouterr().out == ""


def test_what_is_there_is_left_alone_where_asked_for(heard, recordings, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "long.txt").write_text("by hand")
    speak_cli.transcribe(recordings, model="m", to=out, resume=True)
    assert (out / "long.txt").read_text() == "by hand"
    assert (out / "short.txt").read_text() == "Transcribe. 1\n"
    assert "1 of 2 files are there already" in capsys.readouterr().err
    speak_cli.transcribe(recordings, model="m", to=out)
    assert (out / "long.txt").read_text() != "by hand"


def test_what_cannot_be_read_is_named_first_and_the_rest_is_done(
    heard, recordings, monkeypatch, capsys
):
    bad, gone, short = (recordings / name for name in ("bad.wav", "gone.wav", "short.wav"))
    bad.write_text("no audio at all")
    with pytest.raises(AuraError, match=r"2 of 3 files .*bad\.wav: not audio.*gone\.wav: No such"):
        speak_cli.transcribe(bad, gone, short, model="m")
    out, err = capsys.readouterr()
    assert out == f"{short}: Transcribe. 1\n"
    lines = err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["left out", "left out", "model"]
    monkeypatch.setattr(run_models, "find_models", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(AuraError, match=r"1 of 1 files could not be read: .*bad\.wav: not audio"):
        speak_cli.transcribe(bad, model="m")


def test_a_format_that_needs_ffmpeg_says_so_before_a_model_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "memo.m4a").write_bytes(b"....ftypM4A ")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(run_models, "find_models", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(AuraError, match=r"memo\.m4a: needs ffmpeg: apt-get install .* ffmpeg -i"):
        speak_cli.transcribe(tmp_path, model="m")
    with pytest.raises(AuraError, match=r"memo\.m4a: needs ffmpeg"):
        speak_cli.ask(tmp_path / "memo.m4a", "Who?", model="m")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_telephones_recording_is_transcribed(heard, recordings, tmp_path, capsys):
    memo, wav = tmp_path / "memo.m4a", recordings / "short.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, memo], check=True)
    speak_cli.transcribe(memo, model="m")
    assert capsys.readouterr().out == "Transcribe. 1\n"
    assert abs(heard[0] - 16000) < 3000


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (["in"], {"kind": "doc"}, "no format 'doc'"),
        (["empty"], {}, "no audio file below"),
        ([], {}, "name an audio file"),
        (["in/short.wav", "in/deep/short.wav"], {"to": Path("out")}, "two files .* short.txt"),
        (["in"], {"kind": "srt"}, "name a folder for them"),
        (["in"], {"to": Path("/proc/out")}, "/proc/out$"),
    ],
)
def test_a_mistake_is_told(heard, recordings, tmp_path, arguments, options, reason):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AuraError, match=reason):
        speak_cli.transcribe(*(tmp_path / each for each in arguments), model="m", **options)
    assert heard == []


def test_ask_prints_the_answer_and_refuses_what_is_too_long(heard, recordings, capsys):
    speak_cli.ask(recordings / "short.wav", "Who?", model="m")
    assert capsys.readouterr().out == "Who? 1\n"
    with pytest.raises(AuraError, match=r"long\.flac: too long"):
        speak_cli.ask(recordings / "deep" / "long.flac", "Who?", model="m")
    soundfile.write(recordings / "silent.wav", np.zeros(8000), 8000)
    with pytest.raises(AuraError, match=r"silent\.wav: nobody speaks in it"):
        speak_cli.ask(recordings / "silent.wav", "Who?", model="m")


@pytest.mark.slow
def test_the_smoke_runs_student_is_exported_and_asked(smoke_root, recordings, tmp_path):
    run = partial(run_aura, timeout_s=None)
    made = run("export", "--recipe", "smoke", "--root", smoke_root, "--to", tmp_path / "model")
    assert made.returncode == 0, made.stderr
    assert "| model | task |" in (tmp_path / "model" / "README.md").read_text()
    asked = [recordings / "short.wav", "Transcribe.", "--max-new-tokens", 8]
    answers = [
        run("ask", *asked, *more)
        for more in (["--model", tmp_path / "model"], ["--root", smoke_root])
    ]
    assert [each.returncode for each in answers] == [0, 0], answers
    assert answers[0].stdout == answers[1].stdout
    for each in answers:
        [line] = [line for line in each.stderr.splitlines() if line.startswith("model: aura, ")]
        assert "recipe smoke, held-out WER " in line
    cascade = run("ask", *asked, "--model", "cascade", "--root", smoke_root)
    assert cascade.returncode == 0, cascade.stderr
    assert "model: cascade, " in cascade.stderr
    assert not any("deprecated" in each.stderr for each in (made, *answers, cascade))
