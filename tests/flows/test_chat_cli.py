"""`aura chat` as a user meets it, at a terminal and in a pipe."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from aura_core.chat import run_models
from aura_core.chat.reply import Reply, TooManyPositionsError
from aura_core.chat.run_models import RunModels
from flows import chat_cli
from tests.aura_command import AURA
from tests.voiced import voiced


class Counter:
    """A model that says how many turns and clips it was given."""

    def __init__(self):
        self.asked = []

    def reply(self, turns, max_new_tokens, stop=()):
        if len(turns) > 5:
            raise TooManyPositionsError("the conversation takes 9 positions")
        self.asked.append(turns)
        clips = sum(not isinstance(part, str) for turn in turns for part in turn.parts)
        return Reply(
            iter(f"{len(turns)} turns {clips} clips\0".encode()[:max_new_tokens]),
            prompt_tokens=3,
            decode=lambda ids: bytes(ids).decode(),
            end_ids=(0,),
        )


@pytest.fixture
def talk(monkeypatch, capsys):
    """Run the command on lines; returns the model, the output and the rest."""

    def run(*lines, **options):
        model = Counter()
        models = RunModels({"aura": lambda: model}, origins={"aura": "trained yesterday"})
        monkeypatch.setattr(run_models, "find_models", lambda *_: models)
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
        chat_cli.chat("m", **options)
        return model, *capsys.readouterr()

    return run


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "a talk.wav"
    soundfile.write(path, voiced(1.0, rate=8000), 8000)
    return path


def test_turns_of_text_and_audio_are_one_conversation(talk, wav):
    model, out, err = talk(f'/audio "{wav}" What\'s wanted?', "", "And then?", f"/audio '{wav}'")
    assert out.splitlines() == ["1 turns 1 clips", "3 turns 1 clips", "5 turns 2 clips"]
    assert err.count("[first token ") == 3
    last = model.asked[-1]
    assert [turn.role for turn in last] == ["user", "assistant"] * 2 + ["user"]
    assert last[0].parts[1] == "What's wanted?"
    assert last[1].parts == ("1 turns 1 clips",)
    assert last[4].parts[1] == "Transcribe."
    assert len(last[0].parts[0]) == 16000


def test_reset_forgets_and_quit_ends(talk):
    _, out, err = talk("one", "/reset", "two", "/help", "/quit", "three")
    assert out.splitlines() == ["1 turns 0 clips"] * 2
    assert "/audio FILE [QUESTION]" in err


def test_a_mistake_is_told_and_the_conversation_goes_on(talk, wav, tmp_path):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.zeros(31 * 8000), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 8000)
    (tmp_path / "text.wav").write_text("no audio")
    _, out, err = talk(
        "/audio", "/play x", f"/audio {tmp_path}/none.wav", f"/audio {long}",
        f"/audio {tmp_path}/text.wav", f"/audio {tmp_path}/silent.wav",
        "one", "two", "three", "four",
    )  # fmt: skip
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    for line, reason in zip(
        errors,
        ["name a file", "no command /play", "No such file", "at most 30 s", "not audio",
         "silent.wav: nobody speaks in it", "takes 9 positions"],
        strict=True,
    ):  # fmt: skip
        assert reason in line
    assert out.splitlines() == [f"{n} turns 0 clips" for n in (1, 3, 5)]


def test_an_answer_that_is_cut_says_so(talk):
    _, out, err = talk("one", max_new_tokens=4)
    assert out == "1 tu\n"
    assert "4 tokens, cut at its longest" in err


def test_it_says_which_model_answers(talk):
    assert talk("one")[2].startswith("model: aura, trained yesterday\n")


@pytest.mark.slow
def test_a_student_answers_through_a_pipe(artifact_of, wav):
    said = subprocess.run(
        [AURA, "chat", "--model", artifact_of(), "--max-new-tokens", "8"],
        input=f'/audio "{wav}" Who?\n/audio nowhere.wav\nAnd?\n', text=True,
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert len(said.stdout.splitlines()) >= 2
    assert said.stderr.count("[first token ") == 2
    assert "error: nowhere.wav: No such file" in said.stderr
