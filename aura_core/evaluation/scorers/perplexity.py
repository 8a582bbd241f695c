"""Perplexity: how many tokens an LLM hesitates between, on average, at each token of a text."""

import json
from collections.abc import Sequence

import numpy as np

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Floats, Statistic, quotient, ratio


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """`perplexity` per token, over all texts together: exp(sum of nats / sum of tokens).

    A prediction is `{"nats": ..., "tokens": ...}`, as `aura_core.evaluation.reading` writes it.
    Models with different tokenizers cannot be compared by it.

    Raises:
        AuraError: for a prediction that is none.
    """
    counts = [_counts(prediction) for prediction in predictions]
    columns = ratio([nats for nats, _ in counts], [tokens for _, tokens in counts]).columns
    return {"perplexity": Statistic(columns, _perplexity)}


def _perplexity(sums: Floats) -> Floats:
    result: Floats = np.exp(quotient(sums))
    return result


def _counts(prediction: Prediction) -> tuple[float, float]:
    try:
        said = json.loads(prediction.prediction)
        return float(said["nats"]), float(said["tokens"])
    except (ValueError, TypeError, KeyError) as error:
        raise AuraError(
            f"{prediction.id}: the prediction is no likelihood: delete its cell and run again"
        ) from error
