"""The story of a training run, read back from its `metrics.jsonl`."""

import json
from dataclasses import dataclass
from statistics import median
from typing import Any

from aura_core.artifacts import store
from aura_core.config.train import METRICS, SIMILARITY
from aura_core.errors import AuraError

Series = list[tuple[int, float]]


@dataclass(frozen=True)
class PhaseSpan:
    """First and last step of a phase, both included."""

    name: str
    first_step: int
    last_step: int


@dataclass(frozen=True)
class History:
    """One record a step, as the trainer wrote it."""

    records: list[dict[str, Any]]

    def series(self, name: str) -> Series:
        """(step, value) of every step that has the metric."""
        return [(r["step"], r[name]) for r in self.records if r.get(name) is not None]

    def blocks(self) -> dict[int, Series]:
        """Distillation loss per student block, in the order of the blocks."""
        found: dict[int, Series] = {}
        for record in self.records:
            for block, value in (record.get("distil_blocks") or {}).items():
                found.setdefault(int(block), []).append((record["step"], value))
        return dict(sorted(found.items()))

    def wer(self) -> list[tuple[int, float, float]]:
        """(clips trained on, seconds of training, WER of the clips kept out), where measured."""
        found, clips = [], 0
        for record in self.records:
            clips += record.get("clips", 0)
            if "wer" in record.get("validation", {}):
                found.append((clips, record["elapsed_s"], record["validation"]["wer"]))
        return found

    def phases(self) -> list[PhaseSpan]:
        """The phases in the order they ran."""
        spans: dict[str, PhaseSpan] = {}
        for record in self.records:
            name, step = record["phase"], record["step"]
            first = spans[name].first_step if name in spans else step
            spans[name] = PhaseSpan(name, first, step)
        return list(spans.values())

    def profile(self) -> dict[str, dict[str, str]]:
        """Where a step's time goes: phase -> part -> its share of the phase, in words."""
        found = {}
        for phase in self.phases():
            totals: dict[str, float] = {}
            for record in self.records:
                if record["phase"] == phase.name:
                    for part, value in record.get("seconds", {}).items():
                        totals[part] = totals.get(part, 0.0) + value
            if whole := sum(totals.values()):
                found[phase.name] = {
                    part: f"{100 * value / whole:.1f} %" for part, value in totals.items()
                }
        return found

    def facts(self) -> dict[str, str]:
        """Length and speed of the run, in words; empty if it has no steps."""
        if not self.records:
            return {}
        found = {p.name: f"{p.last_step - p.first_step + 1:,} steps" for p in self.phases()}
        if speeds := [speed for _, speed in self.series("samples_per_s")]:
            found["median speed"] = f"{median(speeds):.1f} utterances/s"
        if elapsed := self.series("elapsed_s"):
            minutes, seconds = divmod(round(elapsed[-1][1]), 60)
            found["time"] = f"{minutes} min {seconds:02d} s"
        return found


def read_history(train_uri: str) -> History:
    """Read a training artifact's metrics; none at all is an empty history.

    Raises:
        AuraError: if a line is damaged.
    """
    uri = store.join(train_uri, METRICS)
    if not store.exists(uri):
        return History([])
    try:
        records = [json.loads(line) for line in store.read_text(uri).split("\n") if line.strip()]
    except json.JSONDecodeError as error:
        raise AuraError(f"{uri} is damaged ({error}): delete that folder and run again") from error
    return History(records)


def read_similarity(train_uri: str) -> dict[str, Any]:
    """Read {before, after: {layers, values}}, CKA of blocks and layers; empty if there is none."""
    uri = store.join(train_uri, SIMILARITY)
    if not store.exists(uri):
        return {}
    found: dict[str, Any] = json.loads(store.read_text(uri))
    return found
