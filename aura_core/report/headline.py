"""The few figures at the top of the page, and the sentence that says them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aura_core.evaluation.table import Row
from aura_core.report.grid import (
    LATENCY,
    Metric,
    ModelLabel,
    format_value,
    metric_of,
    model_label,
    task_of,
)

# Split names that say most, best first; else the first split by name.
_PREFERRED_SPLITS = ("heldout", "test", "validation")
_CARDS = ("wer", "exact_match", "ttft_ms_p50")
_RIVALS = ("aura", "cascade", "text")


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
        split = task_of(wer["aura"])[1]
        parts.append(f"AuRA gets {100 * wer['aura'].value:.1f}% of the words wrong on {split}")
        if "cascade" in wer:
            parts[0] += f", the cascade {100 * wer['cascade'].value:.1f}%"
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
    task, split = task_of(lead)
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
    """Rows of a metric by model, all of the split that says most."""
    whole = [row for row in rows if row.slice is None and row.model in _RIVALS]
    of_metric = [row for row in whole if row.metric == metric]
    splits = sorted({task_of(row)[1] for row in of_metric})
    if not splits:
        return {}
    chosen = next((split for split in _PREFERRED_SPLITS if split in splits), splits[0])
    picked = {row.model: row for row in of_metric if task_of(row)[1] == chosen}
    return {model: picked[model] for model in _RIVALS if model in picked}
