"""One training run from a cache to an exported student, and the checkpoints it resumes at."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from aura_core.artifacts import store
from aura_core.config.train import METRICS, SIMILARITY, TrainConfig
from aura_core.distil.setup import new_trainer
from aura_core.distil.trainer import Trainer
from aura_core.student.assembly import save_encoder, save_student
from aura_core.targets.answers import open_targets
from aura_core.teacher_cache.index import open_cache

# Everything a run needs to go on where it was: one safetensors file a checkpoint.
#
# No RNG state is kept because none is used after the start: batches and augmentation are a
# function of the seed and the step, and LoRA runs without dropout.

FOLDER = "checkpoints"
# The newest, and one more should it be damaged.
_KEPT = 2
_STEP_DIGITS = 8
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_checkpoint(run_uri: str, trainer: Trainer, records: Sequence[dict[str, Any]]) -> None:
    """Publish the run's state atomically, then drop all but the newest checkpoints."""
    tensors = {}
    for name, parameter in trainer.trainable.items():
        tensors[f"parameter/{name}"] = parameter.detach().contiguous()
        for moment, value in trainer.optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = value.contiguous()
    metadata = {
        "step": str(trainer.step),
        "phase_steps": json.dumps(trainer.schedule.phase_steps),
        "validation_losses": json.dumps(trainer.validation_losses),
        "records": json.dumps(list(records)),
    }
    metadata["xxh3"] = _digest(tensors, metadata)
    folder = store.join(run_uri, FOLDER)
    name = f"{trainer.step:0{_STEP_DIGITS}d}.safetensors"
    with store.staged(store.join(folder, name)) as path:
        save_file(tensors, path, metadata=metadata)
    for old in _names(run_uri)[:-_KEPT]:
        store.remove(store.join(folder, old))


def restore_checkpoint(run_uri: str, trainer: Trainer) -> list[dict[str, Any]]:
    """Put `trainer` back to the newest sound checkpoint of the run, if there is one.

    Returns the records of the steps done so far; empty without a checkpoint. A damaged one is
    passed over: going on from the one before gives the same steps again.
    """
    for name in reversed(_names(run_uri)):
        found = _read(store.join(run_uri, FOLDER, name))
        if found is not None:
            return _apply(trainer, *found)
    return []


def remove_checkpoints(run_uri: str) -> None:
    """Delete every checkpoint of a finished run."""
    for name in _names(run_uri):
        store.remove(store.join(run_uri, FOLDER, name))


def _names(run_uri: str) -> list[str]:
    names = store.list_names(store.join(run_uri, FOLDER))
    return [name for name in names if name.endswith(".safetensors")]


def _read(uri: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    with store.local_file(uri) as path:
        try:
            tensors = load_file(path)
            with safe_open(path, framework="pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
        except (SafetensorError, OSError):
            return None
    expected = metadata.pop("xxh3", None)
    return (tensors, metadata) if expected == _digest(tensors, metadata) else None


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    hasher = xxhash.xxh3_128()
    for key in sorted(metadata):
        hasher.update(f"{key}={metadata[key]};".encode())
    for name in sorted(tensors):
        hasher.update(name.encode())
        hasher.update(tensors[name].cpu().numpy().tobytes())
    return hasher.hexdigest()


@torch.no_grad()
def _apply(
    trainer: Trainer, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> list[dict[str, Any]]:
    for name, parameter in trainer.trainable.items():
        parameter.copy_(tensors[f"parameter/{name}"])
        trainer.optimizer.state[parameter] = {
            moment: tensors[f"{moment}/{name}"]
            for moment in _MOMENTS
            if f"{moment}/{name}" in tensors
        }
    trainer.step = int(metadata["step"])
    trainer.schedule.phase_steps = json.loads(metadata["phase_steps"])
    trainer.validation_losses = json.loads(metadata["validation_losses"])
    records: list[dict[str, Any]] = json.loads(metadata["records"])
    return records


def train(
    config: TrainConfig,
    *,
    device: torch.device,
    cache_uri: str,
    output_uri: str,
    text_lora_uri: str | None = None,
    targets_uri: str | None = None,
    on_step: Callable[[dict[str, Any]], None],
) -> None:
    """Train a student and publish it at `output_uri`, going on from its newest checkpoint.

    It trains on `device`. Only the teacher cache is read: the teacher itself is never loaded.
    With `text_lora_uri` the LLM starts with that text LoRA merged; `targets_uri` holds what it
    has said to the transcripts. `on_step` gets each step's record, the same that ends up in
    `metrics.jsonl`. In a `torch.distributed` process group every process calls
    this and does its part of each step; the first one writes.

    Raises:
        AuraError: if the config does not fit the LLM or the cache, or the loss diverges.
    """
    cache = open_cache(cache_uri)
    targets = open_targets(targets_uri) if targets_uri else None
    trainer = new_trainer(config, cache, device, text_lora_uri, targets)
    # Before a checkpoint is restored: a resumed run measures the same.
    before = trainer.similarity()
    records = restore_checkpoint(output_uri, trainer)
    before_s = records[-1]["elapsed_s"] if records else 0.0
    started = time.perf_counter()
    for record in trainer.run():
        record["elapsed_s"] = before_s + time.perf_counter() - started
        records.append(record)
        on_step(record)
        if trainer.workers.is_first and trainer.step % config.checkpoint_every_steps == 0:
            save_checkpoint(output_uri, trainer, records)
    # By every worker: each has a part of a sharded LLM.
    after = trainer.similarity()
    if not trainer.workers.is_first:
        return
    with tempfile.TemporaryDirectory(prefix="aura-") as scratch:
        folder = Path(scratch)
        save_student(trainer.objective.student, config, folder, text_lora_uri)
        if config.audio_embedding.stem == "encoder":
            save_encoder(cache, folder)
        (folder / METRICS).write_text("".join(json.dumps(record) + "\n" for record in records))
        if before is not None:
            matrices = {"before": before, "after": after}
            (folder / SIMILARITY).write_text(json.dumps(matrices) + "\n")
        store.upload_folder(folder, output_uri)
    remove_checkpoints(output_uri)
