"""LoRA added to weights that are stored in half precision."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from aura_core.config.train import TrainConfig
from aura_core.errors import AuraError
from aura_core.models.llm import load_llm
from aura_core.student.assembly import merge_adapter, new_student


@pytest.fixture
def half(tiny_llm, tmp_path):
    """Folders of an LLM stored in bf16, and of a LoRA of it."""
    llm, tokenizer = load_llm(str(tiny_llm), torch.bfloat16)
    llm.save_pretrained(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "llm")
    adapted = get_peft_model(llm, LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(tmp_path / "adapter")
    return str(tmp_path / "llm"), tmp_path / "adapter"


def test_the_sum_is_rounded_once_however_the_llm_was_loaded(half):
    reference, adapter = half
    stored, _ = load_llm(reference, None)
    before = {name: weight.clone() for name, weight in stored.named_parameters()}
    ours = dict(merge_adapter(stored, adapter, torch.bfloat16).named_parameters())
    whole = merge_adapter(load_llm(reference, torch.float32)[0], adapter).to(torch.bfloat16)
    theirs = dict(whole.named_parameters())
    assert ours.keys() == theirs.keys() == before.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    moved = {name for name in ours if not torch.equal(ours[name], before[name])}
    assert moved == {name for name in ours if "q_proj" in name or "down_proj" in name}
    assert not any(weight.requires_grad for weight in ours.values())


def test_a_target_that_a_block_does_not_have_is_named(tiny_llm):
    config = TrainConfig.model_validate(
        {
            "input": "text",
            "lora": {"targets": ["q_proj", "qkv_proj"], "blocks": None, "positions": "all"},
            "phases": [{"name": "text", "steps": 1, "distil": 0}],
        }
    )
    with pytest.raises(AuraError, match=r"lora\.targets has qkv_proj, .* it has q_proj, k_proj"):
        new_student(config, load_llm(str(tiny_llm), torch.float32)[0], None)
