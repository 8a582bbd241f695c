"""One training run from a cache to an exported student, resumable at its checkpoints."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aura_core.artifacts import store
from aura_core.cache.index import open_cache
from aura_core.distillation.checkpoint import (
    remove_checkpoints,
    restore_checkpoint,
    save_checkpoint,
)
from aura_core.distillation.new_trainer import new_trainer
from aura_core.student.export import save_encoder, save_student
from aura_core.student.file_names import METRICS, SIMILARITY
from aura_core.targets.table import open_targets
from aura_core.train_config import TrainConfig


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
