import pytest
import torch

from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.models.llm import load_llm
from aura_core.student.assembly import new_student, save_student


@pytest.fixture(scope="session")
def text_lora(tmp_path_factory) -> str:
    """An untrained text LoRA: the base LLM's answers."""
    config = TrainConfig(
        input="text",
        chat_template=SHORT_CHATML,
        lora=LoraConfig(rank=1, alpha=1, blocks=1, targets=("q_proj",), positions="all"),
        phases=(Phase(name="none", steps=1, distil=0),),
        precision="fp32",
    )
    llm, _ = load_llm(config.llm, torch.float32)
    folder = tmp_path_factory.mktemp("text_lora")
    save_student(new_student(config, llm, None), config, folder)
    return str(folder)
