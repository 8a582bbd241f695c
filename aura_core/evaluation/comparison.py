"""Paired differences: between the models of one evaluation, and between two evaluations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aura_core.artifacts.manifest import require_manifest
from aura_core.config.overrides import AURA
from aura_core.errors import AuraError
from aura_core.evaluation import bootstrap, scoring
from aura_core.evaluation.bootstrap import MIN_UTTERANCES
from aura_core.evaluation.results import LATENCY, Difference, Row, read_results
from aura_core.evaluation.scorers.scorer import Prediction, Scorer
from aura_core.evaluation.scoring import Answers, BySeed, compute, read_answers, scorer_of

# Paired differences between AuRA and what it is compared with.


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


_NO_PREDICTIONS = "unpaired: no predictions"

Seeds = Sequence[Mapping[str, Prediction]]


@dataclass(frozen=True)
class Change:
    """The second figure minus the first, with its 95% interval.

    `n` counts the utterances it is over, and `p_value` is two-sided, of no difference, from so
    many `resamples`; they are None where the figures are not paired, `p_value` also where there
    are too few utterances for one.
    """

    value: float
    low: float
    high: float
    p_value: float | None = None
    resamples: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two evaluations; a side that lacks it is None, and then there is no change."""

    model: str
    task: str
    metric: str
    first: Row | None
    second: Row | None
    change: Change | None
    note: str


def compare_evaluations(
    first_uri: str, second_uri: str, samples: int = 1000, seed: int = 0
) -> list[ComparedFigure]:
    """Compare every figure over whole splits and benchmarks; slices are left out.

    The change is a paired bootstrap over the utterances that have the same id and references on
    both sides; without any, or without predictions, its interval is made from both intervals.

    Args:
        first_uri: artifact of an evaluation.
        second_uri: artifact of the one it is compared with.
        samples: resamples of the bootstrap.
        seed: of the resampling.

    Raises:
        AuraError: if either is not a finished evaluation, or is damaged.
    """
    first, second = _rows(first_uri), _rows(second_uri)
    paired = _paired(_answers(first_uri), _answers(second_uri), samples, seed)
    keys = sorted(first.keys() | second.keys())
    return [_figure(key, first.get(key), second.get(key), paired) for key in keys]


_Key = tuple[str, str, str]  # task, metric, model


def _rows(uri: str) -> dict[_Key, Row]:
    rows = [row for row in read_results(uri) if row.slice is None]
    return {(row.task, row.metric, row.model): row for row in rows}


def _answers(uri: str) -> Answers:
    return read_answers(uri, require_manifest(uri).inputs)


def _figure(
    key: _Key, first: Row | None, second: Row | None, paired: Mapping[_Key, Change | str]
) -> ComparedFigure:
    task, metric, model = key
    if first is None or second is None:
        return ComparedFigure(model, task, metric, first, second, None, "in one of them only")
    found = paired.get(key, "unpaired: timed apart" if task == LATENCY else _NO_PREDICTIONS)
    if isinstance(found, str):
        return ComparedFigure(model, task, metric, first, second, unpaired(first, second), found)
    whole = found.n == first.n == second.n
    notes = [] if whole else [f"change over the {found.n} they share"]
    if found.p_value is None:
        notes.append(f"no p-value below n = {MIN_UTTERANCES}")
    return ComparedFigure(model, task, metric, first, second, found, ", ".join(notes))


def unpaired(first: Row, second: Row) -> Change:
    """The change of two figures that have nothing in common.

    Its interval is recovered from both intervals (Zou and Donner 2008, "Construction of
    confidence limits about effect measures: a general approach").
    """
    value = second.value - first.value
    below = math.hypot(second.value - second.ci_low, first.ci_high - first.value)
    above = math.hypot(second.ci_high - second.value, first.value - first.ci_low)
    return Change(value, value - below, value + above)


def _paired(first: Answers, second: Answers, samples: int, seed: int) -> dict[_Key, Change | str]:
    """The change of each figure, or why it cannot be paired."""
    found: dict[_Key, Change | str] = {}
    for task in first.keys() & second.keys():
        for model in first[task].keys() & second[task].keys():
            changes = _pair(task, first[task][model], second[task][model], samples, seed)
            found |= {(task, metric, model): change for metric, change in changes.items()}
    return found


def _pair(
    task: str, first: Seeds, second: Seeds, samples: int, seed: int
) -> dict[str, Change | str]:
    """metric -> its change; of latency there are no predictions."""
    scorer = scorer_of(task)
    ids = shared_ids(first, second)
    if scorer is None:
        return {}
    if not ids:
        scored = compute(scorer, [list(seeds.values()) for seeds in first])
        return dict.fromkeys(scored, "unpaired: they share no utterance")
    try:
        before, after = (
            compute(scorer, [[seeds[i] for i in ids] for seeds in side]) for side in (first, second)
        )
    except AuraError as error:
        return {scorer.primary: f"unpaired: {error}"}
    return _changes(before, after, len(ids), samples, seed)


def _changes(
    before: BySeed, after: BySeed, n: int, samples: int, seed: int
) -> dict[str, Change | str]:
    found: dict[str, Change | str] = {}
    for metric in before.keys() & after.keys():
        change = bootstrap.difference(after[metric], before[metric], samples, seed)
        if change is not None:
            found[metric] = Change(*change, n)
    return found


def shared_ids(first: Seeds, second: Seeds) -> list[str]:
    """Utterances that every seed of both sides was asked with the same right answers."""
    every = [*first, *second]
    return [
        id_
        for id_, prediction in every[0].items()
        if all(id_ in seeds and seeds[id_].references == prediction.references for seeds in every)
    ]
