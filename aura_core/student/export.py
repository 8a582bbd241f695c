"""A trained student on disk: PEFT adapters, audio embedding, config."""

import shutil
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from aura_core.artifacts import store
from aura_core.models.llm import load_llm
from aura_core.precision import compute_dtype
from aura_core.student.assembly import (
    assemble_student,
    merge_adapter,
    new_audio_embedding,
)
from aura_core.student.audio_embedding import stem_like
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.train_config import TrainConfig

ADAPTER = "adapter"
TEXT_ADAPTER = "text_adapter"
AUDIO_EMBEDDING = "audio_embedding.safetensors"
TRAIN_CONFIG = "train_config.json"


def save_student(
    student: Student, config: TrainConfig, folder: Path, text_lora_uri: str | None = None
) -> None:
    """Write the adapter, the audio embedding (if any) and the config into `folder`.

    `text_lora_uri` names the text LoRA whose LLM the student started from; its adapter is
    copied, so that the folder needs nothing beside the LLM.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if text_lora_uri is not None:
        with store.local_folder(store.join(text_lora_uri, ADAPTER)) as adapter:
            shutil.copytree(adapter, folder / TEXT_ADAPTER)
    student.llm.save_pretrained(folder / ADAPTER)  # type: ignore[operator]
    # A model card with a path of this machine in it; ours is written by the report.
    (folder / ADAPTER / "README.md").unlink(missing_ok=True)
    if student.audio_embedding is not None:
        save_file(student.audio_embedding.state_dict(), folder / AUDIO_EMBEDDING)
    (folder / TRAIN_CONFIG).write_text(config.model_dump_json(indent=2) + "\n")


def load_student(uri: str) -> tuple[Student, ChatFormat]:
    """Load a student saved by `save_student` for inference, with its chat format.

    LoRA is merged, in fp32 and rounded once; a gated one stays beside the weights.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with store.local_folder(uri) as folder:
        config = TrainConfig.model_validate_json((folder / TRAIN_CONFIG).read_text())
        llm, tokenizer = load_llm(config.llm, torch.float32)
        if (folder / TEXT_ADAPTER).exists():
            llm = merge_adapter(llm, folder / TEXT_ADAPTER)
        adapted = (
            PeftModel.from_pretrained(llm, folder / ADAPTER)
            if config.lora.positions == "audio"
            else merge_adapter(llm, folder / ADAPTER)
        )
        adapted.to(dtype=compute_dtype(config.precision, device))  # type: ignore[call-arg]
        embedding = None
        if config.input == "audio":
            weights = load_file(folder / AUDIO_EMBEDDING)
            stem = stem_like(weights, config.audio_embedding.token_rate_hz)
            embedding = new_audio_embedding(config, llm, stem)
            embedding.load_state_dict(weights)
    student = assemble_student(config, adapted, embedding)
    student.eval().to(device)
    return student, ChatFormat(tokenizer, config.chat_template)
