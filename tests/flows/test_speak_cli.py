"""`aura export`, `aura transcribe` and `aura ask` as a user meets them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aura_core import listener
from aura_core.errors import AuraError
from flows import speak_cli
from tests.aura_command import run_aura


@pytest.fixture
def heard(monkeypatch):
    """Lengths in samples of what a model is asked about; it answers with their number."""
    lengths = []

    def answer(audio, instruction, max_new_tokens):
        lengths.append(len(audio))
        return f"{instruction} {len(lengths)}"

    monkeypatch.setattr(listener, "load_listener", lambda _uri: answer)
    return lengths


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "short.wav", 0.1 * rng.standard_normal(8000), 8000)
    soundfile.write(folder / "deep" / "long.flac", 0.1 * rng.standard_normal(16000 * 40), 16000)
    (folder / "notes.txt").write_text("no audio")
    return folder


def test_a_folder_is_transcribed_file_by_file_in_pieces(heard, recordings, capsys):
    speak_cli.transcribe(recordings, model="m", kind="json")
    long, short = map(json.loads, capsys.readouterr().out.splitlines())
    assert [Path(each["file"]).name for each in (long, short)] == ["long.flac", "short.wav"]
    assert len(long["pieces"]) == 2
    assert long["pieces"][-1]["stop_s"] == 40.0
    assert (sum(heard[:2]), heard[2]) == (640_000, 16_000)


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


def test_what_cannot_be_read_is_named_and_the_rest_is_done(heard, recordings, capsys):
    bad = recordings / "bad.wav"
    bad.write_text("no audio at all")
    with pytest.raises(AuraError, match=r"2 of 3 files .*bad\.wav: not audio.*gone\.wav: No such"):
        speak_cli.transcribe(bad, recordings / "gone.wav", recordings / "short.wav", model="m")
    assert capsys.readouterr().out == "Transcribe. 1\n"


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (["in"], {"kind": "doc"}, "no format 'doc'"),
        (["empty"], {}, "no audio file below"),
        ([], {}, "name an audio file"),
        (["in/short.wav", "in/deep/short.wav"], {"to": Path("out")}, "two files .* short.txt"),
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


def test_no_model_is_a_clear_error(tmp_path):
    with pytest.raises(AuraError, match="is no model"):
        listener.load_listener(str(tmp_path))


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
