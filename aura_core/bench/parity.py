"""What padding and precision do to the teacher's states, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from aura_core.cache.build import as_configured
from aura_core.cache.encode import prepare, teacher_states
from aura_core.config import TeacherCacheConfig
from aura_core.device import device_for
from aura_core.models.teachers import load_teacher

# Whisper as it was trained, and what differs from it.
AS_TRAINED = {"padding": "30s", "precision": "fp32"}
VARIANTS: dict[str, dict[str, str]] = {
    "trim": {"padding": "trim"},
    "0.5s": {"padding": "0.5s"},
    "1s": {"padding": "1s"},
    "2s": {"padding": "2s"},
    "30s": {},
    "30s_bf16": {"precision": "bf16"},
}


def state_parity(
    config: TeacherCacheConfig, rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Compare the states of clips with those of Whisper as it was trained: 30 s, float32.

    Returns:
        {variant: {layer: mean cosine over the clips' own frames, standardised per channel}},
        and for each `mel_frames`: what the encoder computes, relative to the clips alone.
    """
    full, _ = _states(config, rows, AS_TRAINED)
    own_frames = 2 * len(next(iter(full.values())))
    scale = {layer: torch.std_mean(states, dim=0, correction=0) for layer, states in full.items()}
    result = {}
    for name, changes in VARIANTS.items():
        found, mel_frames = _states(config, rows, {**AS_TRAINED, **changes})
        cosines = {}
        for layer, states in found.items():
            std, mean = scale[layer]
            left, right = ((each - mean) / std for each in (states, full[layer]))
            cosine = functional.cosine_similarity(left, right, dim=-1).mean()
            cosines[str(layer)] = round(float(cosine), 4)
        result[name] = {**cosines, "mel_frames": round(mel_frames / own_frames, 2)}
    return result


def _states(
    config: TeacherCacheConfig, rows: Sequence[Mapping[str, Any]], changes: Mapping[str, str]
) -> tuple[dict[int, Tensor], int]:
    """All clips' own states, one after the other, and the mel frames they took."""
    config = config.model_copy(update={**changes, "layers": None})
    teacher = as_configured(load_teacher(config.teacher, device_for(None)), config)
    clips = [prepare(row, teacher, config) for row in rows]
    states = [dict(teacher_states(teacher, [clip], config)) for clip in clips]
    together = {layer: torch.cat([each[layer][0] for each in states]) for layer in states[0]}
    return together, sum(clip.heard_mel_frames for clip in clips)
