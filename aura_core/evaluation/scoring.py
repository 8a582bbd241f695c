"""From predictions to rows. Changing this needs no inference: predictions are what is cached."""

from collections.abc import Sequence

import numpy as np

from aura_core.evaluation import bootstrap, meaning, wer
from aura_core.evaluation.bootstrap import Floats
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.table import Row

Ratio = tuple[Floats, Floats]


def score(
    model: str,
    split: str,
    task: str,
    by_seed: Sequence[Sequence[Prediction]],
    samples: int,
    seed: int,
) -> list[Row]:
    """Every metric of a model on a task of a split.

    Args:
        model, split, task: what is scored.
        by_seed: the same utterances' predictions, one sequence for each seed of training.
        samples, seed: the bootstrap's.
    """
    scored = [_counts(task, predictions) for predictions in by_seed]
    rows = []
    for metric in scored[0]:
        above, below = (np.stack([counts[metric][i] for counts in scored]) for i in range(2))
        estimate = bootstrap.ratio(above, below, samples, seed)
        if estimate is not None:
            row = _row(model, f"{task}/{split}", metric, estimate, len(by_seed[0]))
            seeds = (above.sum(axis=1) / below.sum(axis=1)).tolist() if len(by_seed) > 1 else None
            rows.append(row.model_copy(update={"by_seed": seeds}))
    return rows


def _counts(task: str, predictions: Sequence[Prediction]) -> dict[str, Ratio]:
    references = [prediction.reference for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    return SCORERS[task](references, outputs)


def score_latency(model: str, ttft_ms: Sequence[float], samples: int, seed: int) -> list[Row]:
    """The median and the 95th percentile of the time to first token."""
    values = np.array(ttft_ms, dtype=np.float64)
    return [
        _row(
            model, "latency", f"ttft_ms_p{percent}",
            bootstrap.quantile(values, percent / 100, samples, seed), len(values),
        )
        for percent in (50, 95)
    ]  # fmt: skip


def _score_transcripts(references: Sequence[str], outputs: Sequence[str]) -> dict[str, Ratio]:
    return {"wer": wer.count_errors(references, outputs)}


def _score_responses(references: Sequence[str], outputs: Sequence[str]) -> dict[str, Ratio]:
    one = np.ones(len(references))
    if not meaning.are_meanings(references):
        pairs = zip(references, outputs, strict=True)
        exact = np.array([wer.normalise(r) == wer.normalise(o) for r, o in pairs], dtype=np.float64)
        return {"exact_match": (exact, one)}
    counts = meaning.count_matches(references, outputs)
    return {
        "exact_match": (counts.exact, one),
        "slot_f1": (2 * counts.slot_hits, counts.slots_expected + counts.slots_predicted),
        "intent_accuracy": (counts.intent, one),
    }


SCORERS = {"transcribe": _score_transcripts, "respond": _score_responses}


def _row(model: str, task: str, metric: str, estimate: bootstrap.Estimate, n: int) -> Row:
    return Row(
        model=model,
        task=task,
        metric=metric,
        value=estimate.value,
        ci_low=estimate.low,
        ci_high=estimate.high,
        n=n,
    )
