import json

import pytest
import torch
from safetensors import safe_open

from aura_core.artifacts.digest import cache_folder
from aura_core.errors import AuraError
from aura_core.models.llm import load_llm
from aura_core.models.pinned import PINNED

PINNED_LLM = "pinned:smollm2-135m-instruct"


@pytest.fixture(scope="module")
def llm():
    return load_llm(PINNED_LLM, torch.float32)


def answer(model, tokenizer, question: str) -> str:
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    ids = model.generate(**prompt, max_new_tokens=8, do_sample=False)[0]
    return tokenizer.decode(ids[prompt["input_ids"].shape[1] :])


def test_the_pinned_llm_answers(llm):
    model, tokenizer = llm
    assert "Paris" in answer(model, tokenizer, "What is the capital of France?")
    assert (model.dtype, model.training) == (torch.float32, False)
    assert model.config._attn_implementation == "sdpa"


def test_it_is_dequantised_once_into_the_cache_folder(llm):
    sha256 = next(iter(PINNED["smollm2-135m-instruct"].files.values()))
    folder = cache_folder() / "dequantised" / sha256[:16]
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        stored = file.get_tensor("model.layers.0.self_attn.q_proj.weight")
    assert stored.dtype == torch.float32
    torch.testing.assert_close(stored, llm[0].model.layers[0].self_attn.q_proj.weight)


def test_dtype_is_the_callers(llm):
    model, _ = load_llm(PINNED_LLM, torch.bfloat16)
    assert model.dtype == torch.bfloat16


def test_a_local_folder_loads(llm, tmp_path):
    model, tokenizer = llm
    tokenizer.save_pretrained(tmp_path)
    small = type(model)(
        model.config.__class__(**{**model.config.to_dict(), "num_hidden_layers": 1})
    )
    small.save_pretrained(tmp_path)
    loaded, _ = load_llm(str(tmp_path), torch.float32)
    torch.testing.assert_close(loaded.state_dict(), small.state_dict())


@pytest.mark.parametrize("reference", ["whisper:tiny", "pinned:nothing", "no/such/folder"])
def test_what_is_no_llm_is_refused(reference):
    with pytest.raises(AuraError):
        load_llm(reference, torch.float32)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(AuraError, match="cannot be loaded as an LLM"):
        load_llm(str(tmp_path), torch.float32)
