import io
import json

import numpy as np
import pytest
import soundfile

from aura_core.benchmarks import preparation
from aura_core.config.benchmarks import BENCHMARKS
from aura_core.errors import AuraError
from flows.bench_data_cli import app


def bench_data(*arguments):
    app(
        list(map(str, arguments)),
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )


@pytest.fixture
def questions(tmp_path):
    """Llama Questions with 12 questions, the last of which has no audio."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(1600), 16_000, format="WAV")
    rows = "Questions,Answer,audio_filename\n"
    (tmp_path / "audios").mkdir()
    for number in range(12):
        rows += f"q,a,{number}.wav\n"
        if number < 11:
            (tmp_path / f"audios/{number}.wav").write_bytes(buffer.getvalue())
    (tmp_path / "llama_questions.csv").write_text(rows)
    return tmp_path


def test_the_list_names_every_benchmark(capsys):
    bench_data("list")
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0] for line in lines[1:] if line[1:2].strip()}
    assert shown == set(BENCHMARKS)
    assert "hub hlt-lab/voicebench" in next(line for line in lines if "voicebench_mmsu" in line)


def test_the_list_as_json_says_where_to_get_each(capsys):
    bench_data("list", "--json")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["spoken_choice"]["where"] == "made here"
    assert rows["librispeech_test_clean"]["where"] == "https://www.openslr.org/12"
    assert rows["librispeech_test_clean"]["items"] == 2620
    assert rows["trivia_qa"]["scorer"] == "exist_match"


def test_check_counts_and_names_what_is_rejected(questions, capsys):
    bench_data("check", "llama_questions", questions)
    out = capsys.readouterr().out
    assert "11 items of 300 published, 1 rejected" in out
    assert "1 missing" in out
    assert f"11 ({questions}/audios/11.wav): missing: there is no such file" in out


def test_check_fails_where_too_much_is_rejected_but_shows_it_first(questions, capsys):
    (questions / "audios/0.wav").write_bytes(b"junk")
    with pytest.raises(AuraError, match=r"2 of 12 items"):
        bench_data("check", "llama_questions", questions)
    assert "0 (0): not audio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "match"),
    [("nonsense", "`aura bench-data"), ("spoken_facts", "no folder"), ("trivia_qa", "expected")],
)
def test_check_of_the_wrong_thing_is_a_mistake(questions, name, match):
    with pytest.raises(AuraError, match=match):
        bench_data("check", name, questions)


def test_get_downloads_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(preparation, "download", lambda benchmark, folder: "c0ffee")
    bench_data("get", "voicebench_bbh", "--to", tmp_path)
    out = capsys.readouterr().out
    assert "c0ffee" in out
    assert f"aura run --benchmark voicebench_bbh={tmp_path}" in out


def test_get_of_what_is_not_on_the_hub_says_where_it_is():
    with pytest.raises(AuraError, match=r"by hand: https://github\.com/pswietojanski/slurp"):
        bench_data("get", "slurp_intent")
