"""Word error rate of transcripts."""

from collections.abc import Sequence

from aura_core.evaluation import wer
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic, ratio


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Corpus WER against the first reference, both after Whisper's English normaliser."""
    references = [prediction.references[0] for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    return {"wer": ratio(*wer.count_errors(references, outputs))}
