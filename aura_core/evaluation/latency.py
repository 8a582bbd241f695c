"""Time to first token at batch 1, from decoded audio (or text) to the first token."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.evaluation.items import Item

if TYPE_CHECKING:
    import torch

    from aura_core.evaluation.models import Model


class Timing(BaseModel):
    """One clip timed on one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    id: str
    duration_s: float
    ttft_ms: float


def measure(
    models: Mapping[str, Model], items: Sequence[Item], device: torch.device
) -> list[Timing]:
    """Time every model, all on `device`, on the same clips, models taking turns clip by clip.

    Decoding the audio file is not counted; log-mel, the cascade's transcription
    and everything after are. One clip warms each model up first.
    """
    for item in items:
        _ = item.audio  # decoded here, before any clock runs
    for model in models.values():
        model.first_token(items[0])
    return [
        Timing(
            model=name,
            id=item.id,
            duration_s=item.duration_s,
            ttft_ms=_time_ms(model, item, device),
        )
        for item in tqdm(items, desc="latency", unit="clip")
        for name, model in models.items()
    ]


def write_timings(uri: str, timings: Sequence[Timing]) -> None:
    """Publish timings as JSONL."""
    store.write_text(uri, "".join(timing.model_dump_json() + "\n" for timing in timings))


def read_timings(uri: str) -> list[Timing]:
    """Read timings back."""
    return [Timing.model_validate_json(line) for line in store.read_bytes(uri).splitlines()]


def _time_ms(model: Model, item: Item, device: torch.device) -> float:
    # The driver, which reads timings, does without torch.
    from aura_core.device import synchronise

    synchronise(device)
    start = time.perf_counter()
    model.first_token(item)
    synchronise(device)
    return (time.perf_counter() - start) * 1000
