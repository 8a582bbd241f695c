"""Responses of an assistant: meanings, `intent; slot=value; ...`, or free text."""

from collections.abc import Sequence

from aura_core.evaluation import meaning
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic, mean, ratio
from aura_core.evaluation.wer import normalise


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Exact match against the first reference; of meanings slot F1 and intent accuracy too.

    Whether the references are meanings is decided on all of them together.
    """
    references = [prediction.references[0] for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    if not meaning.are_meanings(references):
        pairs = zip(references, outputs, strict=True)
        return {"exact_match": mean([normalise(r) == normalise(o) for r, o in pairs])}
    counts = meaning.count_matches(references, outputs)
    return {
        "exact_match": mean(counts.exact),
        "slot_f1": ratio(2 * counts.slot_hits, counts.slots_expected + counts.slots_predicted),
        "intent_accuracy": mean(counts.intent),
    }
