"""Extractive question answering as SQuAD v1.1 scores it (arXiv 1606.05250)."""

import re
import string
from collections import Counter
from collections.abc import Sequence

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic, mean

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Exact match and word F1, each against the reference that suits best."""
    return {
        "em": mean([max(exact(p.prediction, r) for r in p.references) for p in predictions]),
        "f1": mean([max(word_f1(p.prediction, r) for r in p.references) for p in predictions]),
    }


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and superfluous white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(output: str, reference: str) -> float:
    """1 if both are the same once normalised, else 0."""
    return float(normalise(output) == normalise(reference))


def word_f1(output: str, reference: str) -> float:
    """Harmonic mean of precision and recall of words; 0 where none is shared."""
    said, expected = normalise(output).split(), normalise(reference).split()
    shared = sum((Counter(said) & Counter(expected)).values())
    return 2 * shared / (len(said) + len(expected)) if shared else 0.0
