"""Meanings, `intent; slot=value; ...`, and how a predicted one differs from the reference."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aura_core.evaluation.statistic import Floats
from aura_core.evaluation.wer import normalise

_MEANING = re.compile(r"[\w.:-]+(\s*;\s*[\w.:-]+\s*=[^;=]+)*")


@dataclass(frozen=True)
class Meaning:
    """An intent and its slots, whose order does not matter.

    Values are compared as Whisper's normaliser writes them: a model that says
    `20` for `twenty` is right.
    """

    intent: str
    slots: frozenset[tuple[str, str]]
    leftover: tuple[str, ...] = ()  # parts that are not `slot=value`: never an exact match


@dataclass(frozen=True)
class MeaningCounts:
    """Per utterance, all float64 [utterances]; slot F1 is 2 * hits / (expected + predicted)."""

    exact: Floats
    intent: Floats
    slot_hits: Floats
    slots_expected: Floats
    slots_predicted: Floats


def parse(text: str) -> Meaning:
    """Read a meaning; never fails, since models write anything."""
    intent, *parts = (part.strip() for part in text.split(";"))
    slots, leftover = [], []
    for part in parts:
        name, separator, value = part.partition("=")
        if separator:
            slots.append((name.strip().casefold(), normalise(value)))
        elif part:
            leftover.append(part)
    return Meaning(" ".join(intent.casefold().split()), frozenset(slots), tuple(leftover))


def are_meanings(responses: Sequence[str]) -> bool:
    """Whether reference responses are meanings and not free text: all fit, one has a slot."""
    return any("=" in response for response in responses) and all(
        _MEANING.fullmatch(response.strip()) for response in responses
    )


def count_matches(references: Sequence[str], predictions: Sequence[str]) -> MeaningCounts:
    """Compare predicted meanings with the references."""
    pairs = [(parse(r), parse(p)) for r, p in zip(references, predictions, strict=True)]
    return MeaningCounts(
        exact=_floats([r == p for r, p in pairs]),
        intent=_floats([r.intent == p.intent for r, p in pairs]),
        slot_hits=_floats([len(r.slots & p.slots) for r, p in pairs]),
        slots_expected=_floats([len(r.slots) for r, _ in pairs]),
        slots_predicted=_floats([len(p.slots) for _, p in pairs]),
    )


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)
