"""Everything a run needs to go on where it was, in one safetensors file.

No RNG state is kept because none is used after the start: batches are a function
of the seed and the step, and LoRA runs without dropout.
"""

import json
from collections.abc import Sequence
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from aura_core.artifacts import store
from aura_core.distillation.trainer import Trainer

NAME = "checkpoint.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_checkpoint(uri: str, trainer: Trainer, records: Sequence[dict[str, Any]]) -> None:
    """Publish the run's state at `uri`, replacing an earlier one atomically."""
    tensors = {}
    for name, parameter in trainer.trainable.items():
        tensors[f"parameter/{name}"] = parameter.detach().contiguous()
        for moment, value in trainer.optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = value.contiguous()
    metadata = {"step": str(trainer.step), "records": json.dumps(list(records))}
    with store.staged(uri) as path:
        save_file(tensors, path, metadata=metadata)


def restore_checkpoint(folder_uri: str, trainer: Trainer) -> list[dict[str, Any]]:
    """Put `trainer` back to the checkpoint in the folder, if there is one.

    Returns the records of the steps done so far; empty without a checkpoint.
    """
    if not store.exists(store.join(folder_uri, NAME)):
        return []
    with store.local_file(store.join(folder_uri, NAME)) as path:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
    with torch.no_grad():
        for name, parameter in trainer.trainable.items():
            parameter.copy_(tensors[f"parameter/{name}"])
            trainer.optimizer.state[parameter] = {
                moment: tensors[f"{moment}/{name}"]
                for moment in _MOMENTS
                if f"{moment}/{name}" in tensors
            }
    trainer.step = int(metadata["step"])
    records: list[dict[str, Any]] = json.loads(metadata["records"])
    return records
