"""Asking about audio, by an artifact and by the folder exported from it."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.models.llm import load_llm
from aura_core.student.assembly import new_student, save_student
from aura_core.student.audio_embedding import ConvStem
from aura_core.transcribe import FORMATS, Piece, cut_at_silences, load_listener, render
from tests.voiced import voiced

RATE = 1000


def noise(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_short_audio_is_one_piece_and_none_is_none():
    assert cut_at_silences(noise(30), RATE) == [(0, 30 * RATE)]
    assert cut_at_silences(noise(0), RATE) == []


def test_the_cut_falls_into_the_silence():
    audio = noise(50)
    audio[21 * RATE : 22 * RATE] = 0
    (_, stop), (start, end) = cut_at_silences(audio, RATE)
    assert stop == start
    assert 21 * RATE < stop < 22 * RATE
    assert end == len(audio)


def test_of_equal_silences_the_later_is_cut_and_a_dip_inside_a_word_is_none():
    audio = noise(40)
    for second in (10, 25):
        audio[second * RATE : (second + 1) * RATE] = 0
    audio[28 * RATE : 28 * RATE + 20] = 0
    (_, stop), _ = cut_at_silences(audio, RATE)
    assert 25 * RATE < stop < 26 * RATE


@given(st.integers(0, 200_000), st.integers(0, 5), st.booleans())
def test_pieces_are_all_of_it_and_none_too_long(samples, seed, silent):
    audio = noise(samples / RATE, seed) * (not silent)
    pieces = cut_at_silences(audio, RATE)
    assert [each for each, _ in pieces] == [0, *(stop for _, stop in pieces)][: len(pieces)]
    assert (pieces[-1][1] if pieces else 0) == len(audio)
    assert all(0 < stop - start <= 30 * RATE for start, stop in pieces)
    assert all(stop - start >= 5 * RATE for start, stop in pieces[:-1])


def test_limits_that_leave_nowhere_to_cut_are_refused():
    with pytest.raises(ValueError, match="nowhere to cut"):
        cut_at_silences(noise(1), RATE, max_s=5, min_s=5)


PIECES = [Piece(0.0, 29.9996, "one"), Piece(29.9996, 40, ""), Piece(40, 3725.5, "zwei ü")]


def whole(kind, pieces=PIECES):
    return "".join(render("a.wav", pieces, kind))


def test_text_is_a_line_for_each_piece_with_words():
    assert whole("txt") == "one\nzwei ü\n"
    assert whole("txt", []) == ""


def test_json_names_the_file_and_keeps_letters():
    text = whole("json")
    assert "ü" in text
    assert json.loads(text) == {
        "file": "a.wav",
        "pieces": [
            {"start_s": 0.0, "stop_s": 29.9996, "text": "one"},
            {"start_s": 40, "stop_s": 3725.5, "text": "zwei ü"},
        ],
    }
    assert json.loads(whole("json", [])) == {"file": "a.wav", "pieces": []}


def test_subtitles_are_numbered_and_carry_hours():
    assert whole("srt") == (
        "1\n00:00:00,000 --> 00:00:30,000\none\n\n2\n00:00:40,000 --> 01:02:05,500\nzwei ü\n"
    )


def test_a_piece_is_written_before_the_next_is_heard():
    for kind in FORMATS:
        heard = []

        def pieces(heard=heard):
            for piece in PIECES:
                heard.append(piece)
                yield piece

        parts = iter(render("a.wav", pieces(), kind))
        assert any("one" in next(parts) for _ in range(2))
        assert heard == PIECES[:1]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A random student of two narrow blocks that says something else to other audio."""
    folder = tmp_path_factory.mktemp("listener")
    torch.manual_seed(0)
    llm = LlamaConfig(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(llm).save_pretrained(folder / "llm")
    load_llm("pinned:smollm2-135m-instruct", torch.float32)[1].save_pretrained(folder / "llm")
    config = TrainConfig(
        input="audio", llm=str(folder / "llm"), chat_template=SHORT_CHATML, precision="fp32",
        lora=LoraConfig(rank=2, alpha=2, blocks=1), phases=(Phase(name="none", steps=1),),
    )  # fmt: skip
    student = new_student(
        config, load_llm(config.llm, torch.float32)[0], lambda: ConvStem(80, 16, 1500)
    )
    save_student(student, config, folder / "artifact")
    export_student(str(folder / "artifact"), folder / "exported")
    return folder


def clip(seed, seconds=0.6):
    return voiced(seconds, seed)


@pytest.fixture(scope="module", params=["artifact", "exported"])
def ask(request, artifact):
    return load_listener(str(artifact / request.param))


def test_the_answer_depends_on_audio_and_instruction_alone(ask):
    answer = ask(clip(0), "Transcribe.", 8)
    assert answer
    assert ask(clip(0), "Transcribe.", 8) == answer
    assert ask(clip(1, 2.0), "Transcribe.", 8) != answer
    assert ask(clip(0), "What is wanted, and by whom?", 8) != answer


def test_an_answer_is_no_longer_than_was_asked(ask):
    long, short = ask(clip(0), "Transcribe.", 8), ask(clip(0), "Transcribe.", 2)
    assert long.startswith(short)
    assert len(short) < len(long)


def test_nothing_is_said_of_silence_and_noise(ask):
    hiss = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert [ask(audio, "Transcribe.", 8) for audio in (np.zeros_like(hiss), hiss)] == ["", ""]


def test_an_exported_folder_answers_as_the_artifact(artifact):
    both = [load_listener(str(artifact / name)) for name in ("artifact", "exported")]
    assert len({ask(clip(3), "Transcribe.", 8) for ask in both}) == 1


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(AuraError, match=r"is no model: name a distil artifact or a folder"):
        load_listener(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(AuraError, match=r"is no model"):
        load_listener(str(tmp_path))
