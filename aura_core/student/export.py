"""A trained student on disk: PEFT adapters, audio embedding, config, a bridge's encoder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.cache import codec as codecs
from aura_core.cache.index import TeacherCache
from aura_core.student.file_names import (
    ADAPTER,
    AUDIO_EMBEDDING,
    ENCODER,
    ENCODER_CODEC,
    HANDOVER,
    TEXT_ADAPTER,
    TRAIN_CONFIG,
)
from aura_core.student.student import Student
from aura_core.train_config import TrainConfig


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
