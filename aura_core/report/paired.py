"""Paired differences between AuRA and each rival, as a table and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from aura_core.evaluation.significance import SIGNIFICANCE, format_p
from aura_core.evaluation.table import Difference
from aura_core.report.labels import (
    MODELS,
    ModelLabel,
    benchmark_title,
    difference_unit,
    format_difference,
    metric_of,
    model_label,
    rank,
    sort_key,
)

WINS, LOSES, OPEN = "wins", "loses", "open"
# Too few utterances for any of these.
FEW = "few"


@dataclass(frozen=True)
class Duel:
    """AuRA minus a rival in one metric; `p` is empty where there are too few utterances."""

    rival: ModelLabel
    what: str
    value: str
    unit: str
    interval: str
    p: str
    n: int
    verdict: str


@dataclass(frozen=True)
class DuelLine:
    """One metric on one split or benchmark, against every rival."""

    where: str
    what: str
    by_rival: dict[str, Duel]


@dataclass(frozen=True)
class Verdict:
    """How AuRA does against one rival, duels by their end."""

    rival: ModelLabel
    loses: list[Duel]
    wins: list[Duel]
    open: list[Duel]
    few: list[Duel]


def build_lines(differences: Sequence[Difference]) -> list[DuelLine]:
    """One line a metric, in the order of the result table."""
    ordered = sorted(differences, key=_key)
    lines = []
    for _, group in groupby(ordered, key=lambda each: (each.task, each.metric)):
        found = list(group)
        metric = metric_of(found[0].metric)
        lines.append(
            DuelLine(
                where=benchmark_title(found[0].task),
                what=f"{metric.title}, {difference_unit(metric)}",
                by_rival={each.other: _duel(each) for each in found},
            )
        )
    return lines


def build_verdicts(differences: Sequence[Difference]) -> list[Verdict]:
    """One a rival, in the order of the columns."""
    by_rival: dict[str, list[Duel]] = {}
    for each in sorted(differences, key=_key):
        by_rival.setdefault(each.other, []).append(_duel(each))
    return [
        Verdict(
            model_label(name),
            *(
                [duel for duel in by_rival[name] if duel.verdict == end]
                for end in (LOSES, WINS, OPEN, FEW)
            ),
        )
        for name in sorted(by_rival, key=rank(MODELS))
    ]


def _duel(each: Difference) -> Duel:
    metric = metric_of(each.metric)
    low, high = (format_difference(end, metric) for end in (each.ci_low, each.ci_high))
    return Duel(
        rival=model_label(each.other),
        what=f"{metric.title.lower() if metric.unit == '%' else metric.title} on "
        f"{benchmark_title(each.task)}",
        value=format_difference(each.value, metric),
        unit=difference_unit(metric),
        interval=f"{low} to {high}",
        p="" if each.p_value is None else f"p {format_p(each.p_value, each.resamples)}",
        n=each.n,
        verdict=verdict_of(each),
    )


def verdict_of(each: Difference) -> str:
    """Whether AuRA clearly wins, clearly loses, neither can be said, or there are too few."""
    if each.p_value is None:
        return FEW
    if each.p_value >= SIGNIFICANCE or each.value == 0:
        return OPEN
    return WINS if (each.value < 0) == metric_of(each.metric).lower_is_better else LOSES


def _key(each: Difference) -> tuple[tuple[int, str], ...]:
    return sort_key(each.task, each.metric, each.other)
