"""How well a student's audio states spell what was said: one figure for one set of targets."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from aura_core.cache.index import TeacherCache
from aura_core.corpus.table import decode_audio
from aura_core.device import device_for
from aura_core.distillation.new_trainer import new_trainer
from aura_core.distillation.trainer import Trainer
from aura_core.evaluation import wer
from aura_core.evaluation.statistic import Floats
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.audio_embedding import EncoderFrames
from aura_core.student.batch import Layout, collate
from aura_core.train_config import TrainConfig

_BATCH = 20


def train_and_spell(
    cache: TeacherCache,
    config: TrainConfig,
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Floats, Floats]:
    """Train on a cache and count the errors of the greedy CTC reading of `rows`.

    `config` has phases without cross-entropy, which run the adapted blocks only.

    Returns:
        Word errors and reference words, float64 [rows] each.
    """
    trainer = new_trainer(config, cache, device_for(None))
    for _ in trainer.run():
        pass
    spelt: list[str] = []
    for start in range(0, len(rows), _BATCH):
        spelt += _spell(trainer, rows[start : start + _BATCH])
    return wer.count_errors([row["text"] for row in rows], spelt)


def _spell(trainer: Trainer, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    objective, chat = trainer.objective, trainer.chat
    embedding = objective.student.audio_embedding
    assert embedding is not None
    stem = embedding.stem
    assert not isinstance(stem, EncoderFrames), "a bridge hears no log-mel"
    mels = [log_mel(decode_audio(row["audio"]["bytes"]), stem.num_mels) for row in rows]
    layouts = [
        Layout(chat.prefix, int(embedding.num_tokens(torch.tensor(len(mel)))), [], [])
        for mel in mels
    ]
    device = next(objective.parameters()).device
    with trainer.objective.student.autocast():
        ids = objective.spell(collate(layouts, mels).to(device))
    return [chat.decode(tokens) for tokens in ids]
