"""Paired differences between AuRA and what it is compared with."""

from collections.abc import Mapping, Sequence

from aura_core.ablation import AURA
from aura_core.errors import AuraError
from aura_core.evaluation import bootstrap, scoring
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.scorer import Scorer
from aura_core.evaluation.table import Difference, Row


def score_models(
    benchmark: str,
    scorer: Scorer,
    by_model: Mapping[str, Sequence[Sequence[Prediction]]],
    samples: int,
    seed: int,
    slices: Sequence[str] = (),
) -> tuple[list[Row], list[Difference]]:
    """The rows of every model on a benchmark, and how AuRA differs from each other model.

    Args:
        benchmark: its name, for example `transcribe/heldout`.
        scorer: how it is scored.
        by_model: model -> predictions of each seed of training, of the same utterances.
        samples, seed: the bootstrap's.
        slices: keys of `extra`, each value of which gets rows.

    Raises:
        AuraError: if two models were not asked the same utterances.
    """
    if not by_model:
        return [], []
    aligned = _align(benchmark, by_model)
    computed = {model: scoring.compute(scorer, by_seed) for model, by_seed in aligned.items()}
    rows = [
        row
        for model, statistics in computed.items()
        for row in scoring.make_rows(
            model, benchmark, statistics, aligned[model][0], samples, seed, slices
        )
    ]
    return rows, compare(benchmark, scorer.primary, computed, samples, seed)


def compare(
    benchmark: str,
    metric: str,
    computed: Mapping[str, scoring.BySeed],
    samples: int,
    seed: int,
) -> list[Difference]:
    """AuRA minus each other model in one metric.

    Args:
        benchmark, metric: what is compared.
        computed: model -> statistics of its metrics, utterances in one order for all.
        samples, seed: the bootstrap's.

    Returns:
        Nothing without AuRA or where the metric does not exist.
    """
    if metric not in computed.get(AURA, {}):
        return []
    ours = computed[AURA][metric]
    found = {
        model: bootstrap.difference(ours, statistics[metric], samples, seed)
        for model, statistics in computed.items()
        if model != AURA
    }
    return [
        Difference(
            model=AURA, other=other, task=benchmark, metric=metric, value=difference.value,
            ci_low=difference.low, ci_high=difference.high, p_value=difference.p_value,
            resamples=difference.resamples, n=len(ours[0].columns),
        )
        for other, difference in found.items()
        if difference is not None
    ]  # fmt: skip


def _align(
    benchmark: str, by_model: Mapping[str, Sequence[Sequence[Prediction]]]
) -> dict[str, list[list[Prediction]]]:
    """Put all predictions into the order of the first, so that what is paired belongs together."""
    by_id = {
        model: [{prediction.id: prediction for prediction in seeds} for seeds in by_seed]
        for model, by_seed in by_model.items()
    }
    order = list(next(iter(by_id.values()))[0])
    for model, by_seed in by_id.items():
        for number, found in enumerate(by_seed):
            if len(found) < len(by_model[model][number]):
                raise AuraError(f"{benchmark}: {model} answered an utterance twice")
            if differing := found.keys() ^ set(order):
                raise AuraError(
                    f"{benchmark}: not every model was asked {min(differing)} ({model}): "
                    "run the evaluation again"
                )
    return {model: [[f[i] for i in order] for f in by_seed] for model, by_seed in by_id.items()}
