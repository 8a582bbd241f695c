"""Whisper's encoder as a teacher."""

from collections.abc import Collection, Iterator
from typing import Literal

import torch
from torch import Tensor
from whisper.model import Whisper

from aura_core.models.whisper_encoder import encoder_states, in_precision, load_whisper

_STEM = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "positional_embedding")


class WhisperTeacher:
    """The encoder of a Whisper; `aura_core.models.teacher.Teacher` says what is what."""

    hears: Literal["log_mel"] = "log_mel"

    def __init__(self, model: Whisper) -> None:
        self.model = model
        self.num_mels: int = model.dims.n_mels
        self.max_mel_frames: int = 2 * model.dims.n_audio_ctx
        self.num_layers: int = model.dims.n_audio_layer
        self.width: int = model.dims.n_audio_state
        self.device: torch.device = model.device

    def in_precision(self, dtype: torch.dtype) -> "WhisperTeacher":
        return WhisperTeacher(in_precision(self.model, dtype))

    def stem_tensors(self) -> dict[str, Tensor]:
        """The encoder's convolutions and positions."""
        encoder = self.model.encoder.state_dict()
        return {name: encoder[name].cpu().contiguous() for name in _STEM}

    def states(
        self, inputs: Tensor, lengths: Tensor, layers: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        return encoder_states(self.model, inputs, lengths, layers)


def load_whisper_teacher(reference: str, device: torch.device) -> WhisperTeacher:
    """Load a Whisper as a teacher. Raises AuraError if it is not there or is none."""
    return WhisperTeacher(load_whisper(reference, device))
