"""Spoken question answering: whether an accepted answer occurs in what was said."""

import unicodedata
from collections.abc import Sequence

import regex

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.spans import holds
from aura_core.evaluation.statistic import Statistic, mean

_TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Share of outputs that hold any reference as a span of tokens.

    The rule of open-domain question answering (DPR, arXiv 2004.04906): text in Unicode NFD and
    lower case, tokens are runs of letters, digits and marks, or single other characters. A
    reference without a token is never found.
    """
    return {"exist_match": mean([_is_found(prediction) for prediction in predictions])}


def tokenise(text: str) -> list[str]:
    """Tokens in lower case, combining marks apart from their letters."""
    return list(_TOKEN.findall(unicodedata.normalize("NFD", text).lower()))


def _is_found(prediction: Prediction) -> bool:
    said = tokenise(prediction.prediction)
    return any(holds(said, tokenise(reference)) for reference in prediction.references)
