"""What a teacher is, and every kind: a frozen speech encoder that a student learns from."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal, Protocol, Self

import torch
from torch import Tensor
from whisper.model import Whisper

from aura_core.errors import AuraError
from aura_core.models.references import hub_commit, parse
from aura_core.models.whisper_encoder import encoder_states, in_precision, load_whisper

# What a teacher is: a frozen speech encoder whose states a student learns from.


class Teacher(Protocol):
    """A speech encoder, frozen and in evaluation mode, with 50 states a second of audio."""

    @property
    def input(self) -> Literal["log_mel", "samples"]:
        """What `states` is given."""

    @property
    def num_mels(self) -> int:
        """Bins of the log-mel that the cache keeps for the student: 80 or 128."""

    @property
    def max_mel_frames(self) -> int:
        """The longest clip it takes, in frames of 10 ms."""

    @property
    def num_layers(self) -> int:
        """Layers there are states of, counted from 1; 0 is what the first of them is given."""

    @property
    def width(self) -> int:
        """Values of a state."""

    @property
    def device(self) -> torch.device:
        """Where its inputs must be."""

    def in_precision(self, dtype: torch.dtype) -> Self:
        """The same encoder multiplying in `dtype`; this one stays as it is."""

    def stem_tensors(self) -> dict[str, Tensor]:
        """Weights of a `ConvStem` that a student's may start from (`random_stem`: of no use)."""

    def states(
        self, inputs: Tensor, lengths: Tensor, layers: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the states after chosen layers for a padded batch, lowest layer first.

        A clip's states must not depend on what it is batched with.

        Args:
            inputs: float32 [batch, frames_100hz, num_mels], or samples at 16 kHz, float32
                [batch, samples].
            lengths: int64 [batch], the valid frames or samples of each clip.
            layers: 1-based; 0: what the first layer is given.

        Yields:
            Layer, and its states, float32 [batch, at least (frames_100hz + 1) // 2, width]. State
            number i stands for 20 ms from i * 20 ms on; the last layer's are taken after the final
            norm, if there is one.
        """


# Whisper's encoder as a teacher.

_STEM = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "positional_embedding")


class WhisperTeacher:
    """The encoder of a Whisper; `aura_core.models.teachers.Teacher` says what is what."""

    input: Literal["log_mel"] = "log_mel"

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


# By the `model_type` of transformers: from (reference, device) to a teacher.
TEACHERS: dict[str, Callable[[str, torch.device], Teacher]] = {
    "whisper": load_whisper_teacher,
}


def load_teacher(reference: str, device: torch.device) -> Teacher:
    """Return a frozen teacher in float32.

    Args:
        reference: as in `aura_core.models.references`.
        device: where it runs.

    Raises:
        AuraError: if it is not there, cannot be loaded, or is of a kind that is not in TEACHERS.
    """
    kind = model_type(reference)
    if kind not in TEACHERS:
        raise AuraError(
            f"model {reference!r} is of type {kind!r}; a teacher is one of {', '.join(TEACHERS)} "
            "(docs/extending.md: how to add one)"
        )
    return TEACHERS[kind](reference, device)


def model_type(reference: str) -> str:
    """What transformers calls the kind of a model; what is no folder of its is a Whisper.

    Raises:
        AuraError: if a folder or a repository has no config of transformers.
    """
    parsed = parse(reference)
    is_folder = parsed.kind == "path" and Path(parsed.name).is_dir()
    if parsed.kind != "hf" and not is_folder:
        return "whisper"
    from transformers import PretrainedConfig

    revision = hub_commit(parsed) if parsed.kind == "hf" else "main"
    try:
        config, _ = PretrainedConfig.get_config_dict(parsed.name, revision=revision)
        return str(config["model_type"])
    except (OSError, KeyError) as error:
        raise AuraError(
            f"model {reference!r} has no config.json of transformers that says its model_type"
        ) from error
