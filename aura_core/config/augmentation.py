"""How the audio of a training step may differ from what the teacher heard."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from aura_core.config.stage import Frozen

_SnrDb = Annotated[float, Field(ge=-20, le=60)]
# The paper draws from 0.9 to 1.1; this leaves room on both sides.
_VtlpFactor = Annotated[float, Field(ge=0.7, le=1.4)]
_GainDb = Annotated[float, Field(ge=-60, le=60)]

_ADD_AT_INGEST = (
    "add the changed audio to the manifest as utterances of its own, so that the teacher "
    "hears it as well"
)
_MOVES_TIME = (
    f"it would move the student's frames against the cached teacher states; {_ADD_AT_INGEST}"
)
# Augmentations one may look for, and why a training step cannot apply them.
_REFUSED_AUGMENTATIONS = {
    "speed": _MOVES_TIME,
    "tempo": _MOVES_TIME,
    "pitch": "it needs the waveform, and the cache keeps a log-mel; for other voices set "
    f"vtlp_factor, or {_ADD_AT_INGEST}",
}


class AugmentationConfig(Frozen):
    """Random changes to the student's log-mel in training; all off by default.

    The cached teacher states are those of the clean audio, so nothing here moves time.
    """

    noise_probability: float = Field(0.0, ge=0, le=1, description="share of clips with noise")
    noise_snr_db: tuple[_SnrDb, _SnrDb] = Field(
        (5.0, 30.0), description="range of the SNR over the whole clip"
    )
    gain_db: tuple[_GainDb, _GainDb] = Field((0.0, 0.0), description="range of the level change")
    vtlp_factor: tuple[_VtlpFactor, _VtlpFactor] = Field(
        (1.0, 1.0),
        description="vocal tract length perturbation: range of the factor on the formants",
    )
    time_masks: int = Field(0, ge=0, description="SpecAugment: masks per clip")
    max_time_mask_frames: int = Field(
        70, ge=1, description="frames of 10 ms; never more than a fifth of the clip"
    )
    freq_masks: int = Field(0, ge=0, description="SpecAugment: masks per clip")
    max_freq_mask_bins: int = Field(15, ge=1, lt=80, description="mel bins, of 80 or 128")

    @model_validator(mode="before")
    @classmethod
    def _keeps_the_targets_valid(cls, data: Any) -> Any:
        for name, reason in _REFUSED_AUGMENTATIONS.items():
            if isinstance(data, Mapping) and name in data:
                raise ValueError(f"{name} is no augmentation of a training step: {reason}")
        return data

    @field_validator("noise_snr_db", "gain_db", "vtlp_factor")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"a range is [low, high], not [{value[0]:g}, {value[1]:g}]")
        return value
