"""Asking about audio, by an artifact and by the folder exported from it."""

import json

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.listener import load_listener
from aura_core.models.llm import load_llm
from aura_core.recipes import SHORT_CHATML
from aura_core.student.assembly import new_student
from aura_core.student.audio_embedding import ConvStem
from aura_core.student.export import save_student
from aura_core.train_config import LoraConfig, Phase, TrainConfig
from tests.voiced import voiced


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
