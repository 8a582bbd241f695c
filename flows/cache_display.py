"""Teacher caches as a table."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from aura_core.cache.inventory import CacheState


def as_row(cache: CacheState) -> dict[str, Any]:
    """Return one cache as plain values; figures are None while it is not finished."""
    found = cache.manifest
    row = {
        "name": cache.name,
        "uri": cache.uri,
        "finished": found is not None,
        "shards_done": cache.shards_done,
        "shards_planned": cache.shards_planned,
    }
    if found is None:
        return {**row, "utterances": None, "audio_hours": None, "size_bytes": None, "teacher": None}
    return {
        **row,
        "utterances": found.counts["utterances"],
        "audio_hours": found.metrics["duration_s"] / 3600,
        "size_bytes": found.counts["size_bytes"],
        "teacher": found.identity.get("teacher"),
    }


def cache_table(caches: Sequence[CacheState]) -> Table:
    """Return one line a cache."""
    table = Table(box=None, pad_edge=False)
    for name in ("cache", "state", "teacher"):
        table.add_column(name)
    for name in ("utterances", "hours", "MB"):
        table.add_column(name, justify="right")
    for row in map(as_row, caches):
        planned = "?" if row["shards_planned"] is None else row["shards_planned"]
        state = "finished" if row["finished"] else f"{row['shards_done']} of {planned} shards"
        figures = ("", "", "", "")
        if row["finished"]:
            figures = (
                str(row["teacher"]),
                f"{row['utterances']:,}",
                f"{row['audio_hours']:.2f}",
                f"{row['size_bytes'] / 1e6:,.1f}",
            )
        table.add_row(row["name"], state, *figures)
    return table
