"""Which utterances tell the models apart."""

from collections.abc import Mapping, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from aura_core.evaluation.prediction_files import scorer_of
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.wer import normalise
from aura_core.report.labels import NOT_RIVALS

# What is graded by others is compared by its words alone: a page asks nobody anything.
_COSTLY = ("judge", "pedant")
# Words decide between utterances that are scored alike.
_WORDS_COUNT = 0.1


def disagreements(task: str, by_model: Mapping[str, Mapping[str, Prediction]]) -> dict[str, float]:
    """How much the models disagree on each utterance that all of them were asked.

    The standard deviation over models of the utterance's own score, between 0 and 1, and a tenth
    of the mean distance of their words.

    Args:
        task: of the rows the predictions make: `respond/heldout`, or a benchmark.
        by_model: model -> utterance -> prediction. The upper bound and the ASR are left out if
            two others are left.
    """
    rivals = {model: found for model, found in by_model.items() if model not in NOT_RIVALS}
    compared = rivals if len(rivals) > 1 else by_model
    ids = [i for i in next(iter(compared.values()), {}) if all(i in f for f in compared.values())]
    if not ids:
        return {}
    columns = [[found[i] for i in ids] for found in compared.values()]
    scores = np.array([item_scores(task, column) or [0.0] * len(ids) for column in columns])
    spread = scores.std(axis=0)
    words = [
        _distance([column[place].prediction for column in columns]) for place in range(len(ids))
    ]
    return {i: float(s + _WORDS_COUNT * w) for i, s, w in zip(ids, spread, words, strict=True)}


def item_scores(task: str, predictions: Sequence[Prediction]) -> list[float] | None:
    """Each prediction's own score in the primary metric, 0 to 1; 0 where it does not exist.

    Returns:
        None where nothing is known of the task, or scoring would ask others.
    """
    scorer = scorer_of(task)
    if scorer is None or scorer.name in _COSTLY:
        return None
    statistic = scorer.score(predictions)[scorer.primary]
    values = np.nan_to_num(np.asarray(statistic.of_sums(statistic.columns), dtype=np.float64))
    # BLEU goes to 100.
    top = 100.0 if scorer.name == "bleu" else 1.0
    return [float(value) for value in np.clip(values / top, 0, 1)]


def _distance(texts: Sequence[str]) -> float:
    """Mean over pairs of the normalised Levenshtein distance of their words."""
    words = [normalise(text).split() for text in texts]
    pairs = [(a, b) for i, a in enumerate(words) for b in words[i + 1 :]]
    return (
        float(np.mean([Levenshtein.normalized_distance(*pair) for pair in pairs])) if pairs else 0.0
    )
