"""From predictions to rows. Changing this needs no inference: predictions are what is cached."""

from collections.abc import Sequence

import numpy as np

from aura_core.evaluation import bootstrap, meaning, wer
from aura_core.evaluation.bootstrap import Floats
from aura_core.evaluation.cells import Cell
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.table import Row

Ratio = tuple[Floats, Floats]


def score(cell: Cell, predictions: Sequence[Prediction], samples: int, seed: int) -> list[Row]:
    """Every metric of one cell; `samples` and `seed` are the bootstrap's."""
    references = [prediction.reference for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    rows = []
    for metric, (above, below) in SCORERS[cell.task](references, outputs).items():
        estimate = bootstrap.ratio(above, below, samples, seed)
        if estimate is not None:
            task = f"{cell.task}/{cell.split}"
            rows.append(_row(cell.model, task, metric, estimate, len(predictions)))
    return rows


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
