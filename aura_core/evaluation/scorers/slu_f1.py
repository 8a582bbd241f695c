"""SLU-F1 of SLURP (arXiv 2011.13205): entities by label, their values by distance."""

from collections.abc import Callable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Floats, Statistic, ratio

Entity = tuple[str, str]  # label, value


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
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
    return [(_plain(label), _plain(value)) for label, separator, value in parts if separator]


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


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
