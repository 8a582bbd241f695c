"""Paired differences between AuRA and each rival, as a table and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

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

# A difference is called clear below it.
SIGNIFICANCE = 0.05
WINS, LOSES, OPEN = "wins", "loses", "open"


@dataclass(frozen=True)
class Duel:
    """AuRA minus a rival in one metric."""

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
                for end in (LOSES, WINS, OPEN)
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
        p=format_p(each.p_value),
        n=each.n,
        verdict=verdict_of(each, metric.lower_is_better),
    )


def verdict_of(each: Difference, lower_is_better: bool) -> str:
    """Whether the first model clearly wins, clearly loses, or neither can be said."""
    if each.p_value >= SIGNIFICANCE or each.value == 0:
        return OPEN
    return WINS if (each.value < 0) == lower_is_better else LOSES


def format_p(p_value: float) -> str:
    """Write a p-value; a bootstrap's cannot say more than `< 0.001`."""
    return "<\N{NO-BREAK SPACE}0.001" if p_value < 0.001 else f"=\N{NO-BREAK SPACE}{p_value:.3f}"


def _key(each: Difference) -> tuple[tuple[int, str], ...]:
    return sort_key(each.task, each.metric, each.other)
