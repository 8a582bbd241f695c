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
    right = [_intent(p.prediction) in {_intent(r) for r in p.references} for p in predictions]
    return {"intent_accuracy": mean(right)}


def _intent(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", meaning.parse(text).intent).strip("_.")
