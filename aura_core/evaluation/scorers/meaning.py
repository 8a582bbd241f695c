"""Meanings of requests, `intent; slot=value; ...`: exact ones, intents, slots and SLU-F1."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from aura_core.evaluation.bootstrap import Floats, Statistic, mean, ratio
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import normalise

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


# Spoken language understanding: the intent alone.


def score_intent(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Share of outputs with the intent of a reference; slots after it do not count.

    Case does not count, nor whether an intent's words are joined by spaces, `_` or `-`.
    """
    right = [
        joined_intent(p.prediction) in {joined_intent(r) for r in p.references} for p in predictions
    ]
    return {"intent_accuracy": mean(right)}


def joined_intent(text: str) -> str:
    """The intent of an answer, its words joined by `_` however they were joined."""
    return re.sub(r"[\s_-]+", "_", parse(text).intent).strip("_.")


# Responses of an assistant: meanings, `intent; slot=value; ...`, or free text.


def score_meaning(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Exact match against the first reference; of meanings slot F1 and intent accuracy too.

    Whether the references are meanings is decided on all of them together.
    """
    references = [prediction.references[0] for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    if not are_meanings(references):
        pairs = zip(references, outputs, strict=True)
        return {"exact_match": mean([normalise(r) == normalise(o) for r, o in pairs])}
    counts = count_matches(references, outputs)
    return {
        "exact_match": mean(counts.exact),
        "slot_f1": ratio(2 * counts.slot_hits, counts.slots_expected + counts.slots_predicted),
        "intent_accuracy": mean(counts.intent),
    }


# SLU-F1 of SLURP (arXiv 2011.13205): entities by label, their values by distance.

Entity = tuple[str, str]  # label, value


def score_slu_f1(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """`slu_f1`, its halves `word_f1` and `char_f1`, and `entity_f1` of exact values.

    Both sides are meanings, `intent; label=value; ...`, against the first reference. An entity
    whose label is right is a true positive, and its distance counts as false positive and false
    negative alike: word error rate in one half, normalised Levenshtein in the other. SLU-F1 is
    the F1 of the sums of both.
    """
    pairs = [(entities(p.prediction), entities(p.references[0])) for p in predictions]
    halves = {
        name: np.array([_counts(*pair, distance) for pair in pairs]).reshape(-1, 3)
        for name, distance in (("word", _word_distance), ("char", _char_distance))
    }
    exact = np.array([_exact_counts(*pair) for pair in pairs]).reshape(-1, 3)
    return {
        "slu_f1": _f1(halves["word"] + halves["char"]),
        "word_f1": _f1(halves["word"]),
        "char_f1": _f1(halves["char"]),
        "entity_f1": _f1(exact),
    }


def entities(text: str) -> list[Entity]:
    """The `label=value` parts of a meaning in their order, in lower case; others are left out."""
    parts = (part.partition("=") for part in text.split(";"))
    return [
        (_plain_value(label), _plain_value(value)) for label, separator, value in parts if separator
    ]


def _f1(counts: Floats) -> Statistic:
    """From [utterances, 3]: true positives, false positives, false negatives."""
    return ratio(2 * counts[:, 0], 2 * counts[:, 0] + counts[:, 1] + counts[:, 2])


def _counts(
    predicted: Sequence[Entity], expected: Sequence[Entity], distance: Callable[[str, str], float]
) -> tuple[float, float, float]:
    """Match each predicted entity, in order, with the nearest one left of its label."""
    left = list(expected)
    hits = false_positives = false_negatives = 0.0
    for label, value in predicted:
        distances = [(distance(e[1], value), i) for i, e in enumerate(left) if e[0] == label]
        if not distances:
            false_positives += 1
            continue
        nearest, index = min(distances)
        left.pop(index)
        hits += 1
        false_positives += nearest
        false_negatives += nearest
    return hits, false_positives, false_negatives + len(left)


def _exact_counts(
    predicted: Sequence[Entity], expected: Sequence[Entity]
) -> tuple[float, float, float]:
    left, hits = list(expected), 0
    for entity in predicted:
        if entity in left:
            left.remove(entity)
            hits += 1
    return float(hits), float(len(predicted) - hits), float(len(left))


def _word_distance(expected: str, said: str) -> float:
    """Word error rate; above 1 where more words are inserted than expected."""
    words = expected.split()
    errors = Levenshtein.distance(words, said.split())
    return errors / len(words) if words else float(errors > 0)


def _char_distance(expected: str, said: str) -> float:
    """Levenshtein distance by the length of the longer, 0 to 1."""
    return float(Levenshtein.normalized_distance(expected, said))


def _plain_value(text: str) -> str:
    return " ".join(text.lower().split())
