"""Every family of LLMs that a student may be built around: trained, resumed, asked, exported."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.train import TrainConfig
from aura_core.distil.run import train
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.models.llm import load_llm, max_positions
from aura_core.models.references import LLM_FAMILIES
from aura_core.report.history import read_history
from aura_core.student.inference import Responder, load_base, load_responder
from aura_core.student.prompts import Prompt
from aura_core.teacher_cache.index import open_cache
from tests.tiny_students import inputs_about

CPU = torch.device("cpu")
# What a family has beside the shape that all are given.
OWN = {
    "llama": {"rope_parameters": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 512, "rope_theta": 500000.0,
    }},
    "mistral": {"sliding_window": 256},
    "olmo3": {"sliding_window": 256},
    "qwen3": {"head_dim": 32, "tie_word_embeddings": True},
    "smollm3": {"tie_word_embeddings": True},
}  # fmt: skip


class KilledError(RuntimeError):
    """Stands for a machine that is gone."""


@pytest.fixture(scope="module", params=LLM_FAMILIES)
def llm(request, tiny_llm, tmp_path_factory):
    """A folder of a random LLM of a family, with two blocks and the pinned LLM's tokenizer."""
    folder = tmp_path_factory.mktemp(request.param)
    config = AutoConfig.for_model(
        request.param,
        **{
            "vocab_size": 49152, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 512, "tie_word_embeddings": False, "initializer_range": 0.2,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
            **OWN.get(request.param, {}),
        },
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    load_llm(str(tiny_llm), torch.float32)[1].save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(llm, cache_uri, tmp_path_factory):
    """A student around it, killed after its second step and taken up again."""
    config = TrainConfig.model_validate(
        {
            "input": "audio", "llm": str(llm), "precision": "fp32", "checkpoint_every_steps": 2,
            "lora": {"rank": 4, "alpha": 4, "blocks": 1, "upper_rank": 2, "positions": "all"},
            "phases": [
                {"name": "align", "steps": 2, "batch_utterances": 4, "ce": 0, "ctc": 0.3},
                {"name": "learn", "steps": 2, "batch_utterances": 4, "warmup_steps": 0},
            ],
        }
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("student")

    def on_step(record):
        if record["step"] == 3 and not folder.joinpath("killed").exists():
            folder.joinpath("killed").touch()
            raise KilledError

    run = {"cache_uri": cache_uri, "output_uri": str(folder), "device": CPU, "on_step": on_step}
    with pytest.raises(KilledError):
        train(config, **run)
    train(config, **run)
    return folder


def test_it_learns_and_goes_on_where_it_was(trained):
    records = read_history(str(trained)).records
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert all(np.isfinite(record["loss"]) for record in records)
    assert records[3]["ce"] < records[2]["ce"]


def test_text_is_answered_as_the_llm_itself_answers(trained, llm):
    base = load_base(str(trained), CPU)
    own, tokenizer = load_llm(str(llm), torch.float32)
    prompt = Prompt(TRANSCRIBE, text="where is the lamp")
    ids = base.batch([prompt]).input_ids
    expected = own.generate(input_ids=ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
    answer = tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert base.generate([prompt], 8) == [answer]


def test_two_clips_in_a_batch_are_answered_as_each_alone(trained, cache_uri):
    student, cache = load_responder(str(trained), CPU), open_cache(cache_uri)
    prompts = [Prompt(TRANSCRIBE, input_features=cache.read(n).log_mel) for n in (0, 5)]
    together = student.generate(prompts, 6)
    assert together == [student.generate([each], 6)[0] for each in prompts]


def test_the_exported_folder_answers_the_same(trained, cache_uri, tmp_path):
    folder = tmp_path / "exported"
    assert export_student(str(trained), folder) == "merged"
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    audio = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    inputs = inputs_about(processor, audio)
    ids = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    answer = processor.tokenizer.decode(
        ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    student = load_responder(str(trained), CPU)
    prompt = Prompt(TRANSCRIBE, input_features=student.extract_features([audio])[0])
    assert student.generate([prompt], 6) == [answer.strip()]


def test_nothing_passes_a_sliding_window(trained, llm):
    config = AutoConfig.from_pretrained(llm)
    student: Responder = load_responder(str(trained), CPU)
    slides = config.model_type in ("mistral", "olmo3")
    assert max_positions(config) == (256 if slides else 512)
    with pytest.raises(AuraError, match="positions, and the LLM has"):
        student.generate([Prompt("", text="lamp " * 600)], 1)


def test_other_families_are_refused_by_name(tmp_path):
    AutoConfig.for_model("gemma3_text", num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(AuraError, match=r"is a gemma3_text, .* there are llama, mistral"):
        load_llm(str(tmp_path), torch.float32)
