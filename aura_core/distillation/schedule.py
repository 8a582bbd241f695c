"""Which phase a step is of, and how fast it learns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aura_core.train_config import Phase

# Each phase's learning rate ends at this share of its peak.
_FINAL_RATE = 0.05


@dataclass(frozen=True)
class Position:
    """Where a step stands: its phase and its number inside the phase, from 0.

    After the last step `phase_index` is the number of phases.
    """

    phase_index: int
    phase: Phase
    step_in_phase: int


class Schedule:
    """The phases of a run, of `phase_steps` steps each: a phase that no longer helps ends early."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self.phase_steps = [phase.steps for phase in phases]

    @property
    def total_steps(self) -> int:
        """Steps of all phases."""
        return sum(self.phase_steps)

    def first_step(self, phase_index: int) -> int:
        """Steps of the run before a phase."""
        return sum(self.phase_steps[:phase_index])

    def position(self, step: int) -> Position:
        """Where a step of the run stands, counted from 0."""
        remaining = step
        for index, (phase, steps) in enumerate(zip(self._phases, self.phase_steps, strict=True)):
            if remaining < steps:
                return Position(index, phase, remaining)
            remaining -= steps
        return Position(len(self._phases), self._phases[-1], remaining)


def rate_share(phase: Phase, step: int) -> float:
    """Share of a phase's peak rate: linear warm-up, then half a cosine down to a small share."""
    if step < phase.warmup_steps:
        return (step + 1) / phase.warmup_steps
    progress = (step - phase.warmup_steps) / max(1, phase.steps - phase.warmup_steps)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
