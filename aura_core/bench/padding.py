"""What the silence after a clip does to the teacher's states, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from whisper.model import Whisper

from aura_core.cache.encode import prepare, teacher_states
from aura_core.config import TeacherCacheConfig


def padding_parity(
    teacher: Whisper, rows: Sequence[Mapping[str, Any]], paddings: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Compare states under each padding with those under Whisper's own 30 s.

    Returns:
        {padding: {layer: mean cosine over the clips' own frames}}, plus for each padding
        `cost`: mel frames the encoder computes, relative to no padding.
    """
    full = [_states(teacher, row, "30s") for row in rows]
    result = {}
    for padding in paddings:
        found = [_states(teacher, row, padding) for row in rows]
        cosines = {
            str(layer): _mean_cosine([f[layer] for f, _ in found], [f[layer] for f, _ in full])
            for layer in full[0][0]
        }
        trimmed = sum(len(states[1]) for states, _ in full)
        result[padding] = {**cosines, "cost": sum(heard for _, heard in found) / (2 * trimmed)}
    return result


def _states(
    teacher: Whisper, row: Mapping[str, Any], padding: str
) -> tuple[dict[int, Tensor], int]:
    """States of one clip, and the mel frames it took."""
    config = TeacherCacheConfig(padding=padding)
    clip = prepare(row, teacher, config)
    states, _ = teacher_states(teacher, [clip], config)
    return {layer: value[0] for layer, value in states.items()}, len(clip.heard_mel)


def _mean_cosine(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    left, right = torch.cat(list(found)), torch.cat(list(expected))
    return round(float(functional.cosine_similarity(left, right, dim=-1).mean()), 4)
