"""How well a student's audio states spell what was said: one figure for one set of targets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from aura_core.cache.index import TeacherCache
from aura_core.config import TrainConfig
from aura_core.corpus.table import decode_audio
from aura_core.distillation.trainer import Trainer, new_trainer
from aura_core.evaluation import bootstrap, wer
from aura_core.evaluation.bootstrap import Estimate
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.batch import Layout, collate

_BATCH = 20


def train_and_spell(
    cache: TeacherCache,
    config: TrainConfig,
    rows: Sequence[Mapping[str, Any]],
    on_step: Callable[[dict[str, Any]], None],
) -> Estimate:
    """Train on a cache and return the WER of the greedy CTC reading of `rows`, with its interval.

    `config` has phases without cross-entropy, which run the adapted blocks only.
    """
    trainer = new_trainer(config, cache)
    for record in trainer.run():
        on_step(record)
    spelt: list[str] = []
    for start in range(0, len(rows), _BATCH):
        spelt += _spell(trainer, rows[start : start + _BATCH])
    errors, words = wer.count_errors([row["text"] for row in rows], spelt)
    estimate = bootstrap.ratio(errors, words, samples=1000, seed=0)
    assert estimate is not None
    return estimate


def _spell(trainer: Trainer, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    objective, chat = trainer.objective, trainer.chat
    embedding = objective.student.audio_embedding
    assert embedding is not None
    mels = [
        log_mel(decode_audio(row["audio"]["bytes"]), embedding.conv1.in_channels) for row in rows
    ]
    layouts = [
        Layout(chat.prefix, int(embedding.num_tokens(torch.tensor(len(mel)))), [], [])
        for mel in mels
    ]
    device = next(objective.parameters()).device
    with trainer.autocast():
        ids = objective.spell(collate(layouts, mels).to(device))
    return [chat.decode(tokens) for tokens in ids]
