"""From predictions to rows. Changing this needs no inference: predictions are what is cached."""

from collections.abc import Mapping, Sequence

import numpy as np

from aura_core.evaluation import bootstrap
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.scorer import Scorer
from aura_core.evaluation.slices import positions
from aura_core.evaluation.statistic import Statistic
from aura_core.evaluation.table import Row

# metric -> its statistic, one a seed of training
BySeed = Mapping[str, Sequence[Statistic]]


def score(
    model: str,
    benchmark: str,
    scorer: Scorer,
    by_seed: Sequence[Sequence[Prediction]],
    samples: int,
    seed: int,
    slices: Sequence[str] = (),
) -> list[Row]:
    """Every metric of a model on a benchmark, over all utterances and over each slice.

    Args:
        model, benchmark: what is scored, for example `aura` and `transcribe/heldout`.
        scorer: how.
        by_seed: the same utterances' predictions, one sequence for each seed of training.
        samples, seed: the bootstrap's.
        slices: keys of `extra`, each value of which gets rows; `length` for durations.

    Raises:
        AuraError: if the scorer cannot score these predictions, or a slice is not one.
    """
    statistics = compute(scorer, by_seed)
    return make_rows(model, benchmark, statistics, by_seed[0], samples, seed, slices)


def compute(scorer: Scorer, by_seed: Sequence[Sequence[Prediction]]) -> BySeed:
    """The statistics of each metric, one a seed, utterances in their order."""
    scored = [scorer.score(predictions) for predictions in by_seed]
    return {metric: [each[metric] for each in scored] for metric in scored[0]}


def make_rows(
    model: str,
    benchmark: str,
    statistics: BySeed,
    predictions: Sequence[Prediction],
    samples: int,
    seed: int,
    slices: Sequence[str] = (),
) -> list[Row]:
    """The rows of computed statistics; `predictions` are those of any one seed."""
    chosen: dict[str | None, list[int]] = {None: list(range(len(predictions)))}
    for key in slices:
        found = positions(predictions, key)
        # One slice is the whole again.
        chosen.update(found if len(found) > 1 else {})
    rows = []
    for title, utterances in chosen.items():
        for metric, by_seed in statistics.items():
            row = _row(model, benchmark, metric, by_seed, utterances, samples, seed)
            rows += [row.model_copy(update={"slice": title})] if row else []
    return rows


def score_latency(model: str, ttft_ms: Sequence[float], samples: int, seed: int) -> list[Row]:
    """The median and the 95th percentile of the time to first token."""
    values = np.array(ttft_ms, dtype=np.float64)
    rows = []
    for percent in (50, 95):
        value, low, high = bootstrap.quantile(values, percent / 100, samples, seed)
        rows.append(
            Row(
                model=model, task="latency", metric=f"ttft_ms_p{percent}",
                value=value, ci_low=low, ci_high=high, n=len(values),
            )
        )  # fmt: skip
    return rows


def _row(
    model: str,
    benchmark: str,
    metric: str,
    by_seed: Sequence[Statistic],
    utterances: Sequence[int],
    samples: int,
    seed: int,
) -> Row | None:
    """None where the metric does not exist on these utterances."""
    selected = [statistic.select(utterances) for statistic in by_seed]
    found = bootstrap.estimate(selected, samples, seed)
    if found is None:
        return None
    by_seed_values = [statistic.value for statistic in selected]
    # A metric that one seed does not have cannot be written for each.
    listed = len(selected) > 1 and not np.isnan(by_seed_values).any()
    return Row(
        model=model,
        task=benchmark,
        metric=metric,
        value=found.value,
        ci_low=found.low,
        ci_high=found.high,
        n=len(utterances),
        by_seed=by_seed_values if listed else None,
    )
