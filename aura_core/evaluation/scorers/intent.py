"""Spoken language understanding: the intent alone."""

import re
from collections.abc import Sequence

from aura_core.evaluation import meaning
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic, mean


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Share of outputs with the intent of a reference; slots after it do not count.

    Case does not count, nor whether an intent's words are joined by spaces, `_` or `-`.
    """
    right = [
        joined_intent(p.prediction) in {joined_intent(r) for r in p.references} for p in predictions
    ]
    return {"intent_accuracy": mean(right)}


def joined_intent(text: str) -> str:
    """The intent of an answer, its words joined by `_` however they were joined."""
    return re.sub(r"[\s_-]+", "_", meaning.parse(text).intent).strip("_.")
