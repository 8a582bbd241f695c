"""The few figures at the top of the page, and the sentence that says them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aura_core.evaluation.table import LATENCY, Row
from aura_core.report.labels import (
    MODELS,
    Metric,
    ModelLabel,
    format_value,
    metric_of,
    model_label,
    preferred_split,
    split_task,
)

_CARDS = ("wer", "exact_match", "ttft_ms_p50")
_SHOWN = ("aura", "bridge", "cascade", "text")


@dataclass(frozen=True)
class Bar:
    """One model's figure in a card; `share` is of the card's largest."""

    model: ModelLabel
    value: str
    share: float


@dataclass(frozen=True)
class Card:
    """One metric, AuRA's figure large, the models as bars below."""

    metric: Metric
    where: str
    n: int
    value: str
    bars: list[Bar]


def build_cards(rows: Sequence[Row]) -> list[Card]:
    """Choose the cards for which there are figures."""
    cards = [_card(rows, metric) for metric in _CARDS]
    return [card for card in cards if card is not None]


def build_sentence(rows: Sequence[Row]) -> str:
    """Say in words how AuRA does against the cascade."""
    wer = _pick(rows, "wer")
    parts = []
    if "aura" in wer:
        split = split_task(wer["aura"].task)[1]
        parts.append(f"AuRA gets {100 * wer['aura'].value:.1f}% of the words wrong on {split}")
        for rival in ("bridge", "cascade"):
            if rival in wer:
                parts[0] += f", {MODELS[rival].in_words} {100 * wer[rival].value:.1f}%"
    ttft = _pick(rows, "ttft_ms_p50")
    if {"aura", "cascade"} <= ttft.keys() and min(r.value for r in ttft.values()) > 0:
        times = ttft["cascade"].value / ttft["aura"].value
        speed = f"{times:.1f} times faster" if times >= 1 else f"{1 / times:.1f} times slower"
        parts.append(f"its first token comes {speed} than the cascade's")
    return "; ".join(parts) + "." if parts else ""


def _card(rows: Sequence[Row], name: str) -> Card | None:
    found = _pick(rows, name)
    if not found:
        return None
    metric = metric_of(name)
    lead = found.get("aura") or next(iter(found.values()))
    top = max(row.value for row in found.values()) or 1.0
    task, split = split_task(lead.task)
    return Card(
        metric=metric,
        where=split if task != LATENCY else "batch 1",
        n=lead.n,
        value=format_value(lead.value, metric),
        bars=[
            Bar(model_label(model), format_value(row.value, metric), round(row.value / top, 4))
            for model, row in found.items()
        ],
    )


def _pick(rows: Sequence[Row], metric: str) -> dict[str, Row]:
    """Rows of a metric by model, all of the split that says most, or else of a benchmark."""
    whole = [row for row in rows if row.slice is None and row.model in _SHOWN]
    of_metric = [row for row in whole if row.metric == metric]
    splits = [split for row in of_metric if (split := split_task(row.task)[1])]
    if not of_metric:
        return {}
    chosen = preferred_split(splits) if splits else ""
    task = next(row.task for row in of_metric if split_task(row.task)[1] == chosen)
    picked = {row.model: row for row in of_metric if row.task == task}
    return {model: picked[model] for model in _SHOWN if model in picked}
