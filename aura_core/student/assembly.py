"""Putting a student together from its config, LLM, LoRA, audio embedding, and writing it out."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.train import (
    ADAPTER,
    AUDIO_EMBEDDING,
    ENCODER,
    ENCODER_CODEC,
    HANDOVER,
    TEXT_ADAPTER,
    TRAIN_CONFIG,
    LoraConfig,
    TrainConfig,
)
from aura_core.errors import AuraError
from aura_core.student.audio_embedding import AudioEmbedding, Stem
from aura_core.student.handover import CtcHandover
from aura_core.student.student import Student
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.index import TeacherCache


def num_adapted_blocks(llm: PreTrainedModel, lora: LoraConfig) -> int:
    """How many blocks, from the first, carry LoRA of the full rank.

    Raises:
        AuraError: if the LLM has fewer blocks than asked for.
    """
    num_blocks = int(llm.config.num_hidden_layers)
    blocks = num_blocks if lora.blocks is None else lora.blocks
    if blocks > num_blocks:
        raise AuraError(f"lora.blocks is {blocks}, but the LLM has {num_blocks} blocks")
    return blocks


def upper_pattern(llm: PreTrainedModel, lora: LoraConfig) -> str:
    """Regular expression of the module names above the adapted blocks; it may match none."""
    above = range(num_adapted_blocks(llm, lora), int(llm.config.num_hidden_layers))
    return rf".*\.layers\.({'|'.join(map(str, above))})\..*"


def peft_config(llm: PreTrainedModel, lora: LoraConfig) -> PeftLoraConfig:
    """PEFT's settings for LoRA on the first blocks of `llm`, and of `upper_rank` above them.

    Raises:
        AuraError: if the LLM has fewer blocks.
    """
    num_blocks = int(llm.config.num_hidden_layers)
    last = num_blocks if lora.upper_rank else num_adapted_blocks(llm, lora)
    upper = upper_pattern(llm, lora)
    return PeftLoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        rank_pattern={upper: lora.upper_rank} if lora.upper_rank else {},
        alpha_pattern={upper: lora.upper_alpha} if lora.upper_rank else {},
        target_modules=list(lora.targets),
        layers_to_transform=list(range(last)),
        layers_pattern="layers",
    )


def _require_targets(llm: PreTrainedModel, lora: LoraConfig) -> None:
    """Raise AuraError for a target that is no linear map of a block: its LoRA would be nowhere."""
    block = llm.get_submodule("model.layers.0")
    there = [
        name.rpartition(".")[2]
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear)
    ]
    if missing := [name for name in lora.targets if name not in there]:
        raise AuraError(
            f"lora.targets has {', '.join(missing)}, which a block of this LLM does not: it has "
            f"{', '.join(there)}"
        )


def load_adapter(llm: PreTrainedModel, adapter: Path) -> PeftModel:
    """Put a saved LoRA, a folder of PEFT's, beside the weights of `llm`, which is on the CPU."""
    # By itself PEFT reads onto a GPU that it sees, whosever it is.
    with _older_names():
        return PeftModel.from_pretrained(llm, adapter, torch_device="cpu")


@contextmanager
def _older_names() -> Iterator[None]:
    """Let PEFT use the older name of a property of transformers: no user can mend that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield


def merge_adapter(
    llm: PreTrainedModel, adapter: Path, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """Add a saved LoRA to the weights of `llm`, in fp32 whatever theirs, and freeze the sum.

    Args:
        llm: as it was stored; changed in place.
        adapter: a folder of PEFT's.
        dtype: of the weights with LoRA afterwards, rounded once.
    """
    adapted = load_adapter(llm, adapter)
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            # One linear map at a time: all of them in fp32 would take twice the memory.
            base = module.get_base_layer().float()
            module.merge()
            base.to(dtype)
    merged: PreTrainedModel = adapted.unload()
    merged.requires_grad_(False).train(False)
    return merged


def new_student(
    config: TrainConfig, llm: PreTrainedModel, stem: Callable[[], Stem] | None
) -> Student:
    """An untrained student around `llm`.

    Args:
        config: its LoRA and audio embedding; the random start depends on `config.seed` only.
        llm: the base model; its weights are frozen.
        stem: makes the audio embedding's stem; None for a student that reads.

    Raises:
        AuraError: if `config.lora` names blocks or linear maps that the LLM does not have.
    """
    torch.manual_seed(config.seed)
    _require_targets(llm, config.lora)
    with _older_names():
        adapted = get_peft_model(llm, peft_config(llm, config.lora))
    embedding = None if stem is None else new_audio_embedding(config, llm, stem())
    return assemble_student(config, adapted, embedding)


def assemble_student(
    config: TrainConfig,
    llm: nn.Module,
    audio_embedding: AudioEmbedding | None,
    handover: CtcHandover | None = None,
) -> Student:
    """Put the parts together, with the attention and the gate that the config asks for."""
    return Student(
        llm,
        audio_embedding,
        chunk_positions=config.distillation.seen_positions,
        gated=config.lora.positions == "audio",
        handover=handover,
    )


def new_audio_embedding(config: TrainConfig, llm: PreTrainedModel, stem: Stem) -> AudioEmbedding:
    """An untrained audio embedding around a stem, in the scale of the LLM's own embeddings."""
    embedding = AudioEmbedding(
        stem,
        llm_width=int(llm.config.hidden_size),
        token_rate_hz=config.audio_embedding.token_rate_hz,
        fixed_floor=config.audio_embedding.log_mel_floor == "fixed",
    )
    tokens = llm.get_parameter("model.embed_tokens.weight")
    embedding.match_scale(tokens.float().square().mean().sqrt().item())
    return embedding


# A trained student on disk: PEFT adapters, audio embedding, config, a bridge's encoder.


def save_student(
    student: Student, config: TrainConfig, folder: Path, text_lora_uri: str | None = None
) -> None:
    """Write the adapter, the audio embedding (if any) and the config into `folder`.

    A bridge needs its encoder as well: `save_encoder`.

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
    _sort_targets(folder / ADAPTER / "adapter_config.json")
    if student.audio_embedding is not None:
        save_file(student.audio_embedding.state_dict(), folder / AUDIO_EMBEDDING)
    if student.handover is not None:
        save_file(student.handover.state_dict(), folder / HANDOVER)
    (folder / TRAIN_CONFIG).write_text(config.model_dump_json(indent=2) + "\n")


def _sort_targets(path: Path) -> None:
    """PEFT writes a set in the order of the process's hash seed: equal adapters, other bytes."""
    settings = json.loads(path.read_text())
    settings["target_modules"] = sorted(settings["target_modules"])
    path.write_text(json.dumps(settings, indent=2) + "\n")


def save_encoder(cache: TeacherCache, folder: Path) -> None:
    """Write which encoder a bridge hears with, and how its states are stored."""
    identity = dict(require_manifest(cache.uri).identity)
    identity.pop("pinned", None)
    layer = max(cache.layers)
    settings = {**identity, "layers": [layer]}
    (folder / ENCODER).write_text(json.dumps(settings, indent=2) + "\n")
    codec = replace(cache.codec, layers={layer: cache.codec.layers[layer]})
    (folder / ENCODER_CODEC).write_bytes(codecs.to_bytes(codec))
