"""From samples to what a student is given of them: a log-mel, or an encoder's states."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aura_core.cache import codec as codecs
from aura_core.cache.build import as_configured
from aura_core.cache.codec import Codec
from aura_core.cache.encode import clip_of, num_frames, teacher_states
from aura_core.config import TeacherCacheConfig
from aura_core.models.teacher import Teacher
from aura_core.models.teachers import load_teacher
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.file_names import ENCODER, ENCODER_CODEC


@dataclass(frozen=True)
class LogMelEar:
    """Whisper's log-mel."""

    num_mels: int

    def __call__(self, audios: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Samples at 16 kHz -> of each clip float32 [frames_100hz, num_mels]."""
        return [log_mel(audio, self.num_mels) for audio in audios]


@dataclass(frozen=True)
class EncoderEar:
    """The frozen encoder of a bridge: its last states, as the cache it was trained on has them."""

    teacher: Teacher
    config: TeacherCacheConfig
    codec: Codec

    @torch.inference_mode()
    def __call__(self, audios: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Samples at 16 kHz, at most 30 s -> of each clip float32 [positions, width]."""
        row = {"id": "asked about"}
        clips = [clip_of(audio, row, self.teacher, self.config) for audio in audios]
        [(layer, states)] = teacher_states(self.teacher, clips, self.config)
        lengths = num_frames(clips).to(states.device)
        return [each.cpu() for each in self.codec.restored(layer, states, lengths)]


Ear = LogMelEar | EncoderEar


def load_encoder(folder: Path, device: torch.device) -> EncoderEar | None:
    """Load what `aura_core.student.export.save_encoder` wrote; None if `folder` is no bridge's."""
    if not (folder / ENCODER).exists():
        return None
    config = TeacherCacheConfig.model_validate_json((folder / ENCODER).read_text())
    teacher = as_configured(load_teacher(config.teacher, device), config)
    codec = codecs.from_bytes((folder / ENCODER_CODEC).read_bytes()).to(device)
    return EncoderEar(teacher, config, codec)
