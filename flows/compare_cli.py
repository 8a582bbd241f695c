"""`aura compare`: two evaluations side by side."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from aura_core.evaluation.bootstrap import format_p
from aura_core.evaluation.find import find_evaluation
from flows.display import figure, out
from flows.options import AsJson
from flows.request import resolve_root

if TYPE_CHECKING:
    from aura_core.evaluation.comparison import ComparedFigure


def compare(
    first: str, second: str, /, *, root: str | None = None, as_json: AsJson = False
) -> None:
    """Compare the figures of two evaluations: both values, and second minus first.

    The change is paired over the utterances that both were asked, where they share any; else
    the note says so. It has a 95% interval and, where ten utterances or more are paired, a
    two-sided p-value.

      aura compare runs runs-before
      aura compare 077ce71e 9fb06d12
      aura compare runs s3://bucket/aura
      aura compare runs/evaluate/077ce71e2f75 runs/report/85a795134989 --json

    Parameters
    ----------
    first:
        URI of an evaluation or a report, the beginning of its fingerprint, or a root, of which
        the newest evaluation is meant.
    second:
        The same of the other.
    root:
        Where fingerprints are looked for. [default: $AURA_ROOT, else ./runs]
    as_json:
        Print rows of {model, task, metric, first, second, change, note}.
    """
    uris = [find_evaluation(name, resolve_root(root)) for name in (first, second)]
    # Scorers take a second to import, which a mistyped name need not wait for.
    from aura_core.evaluation.comparison import compare_evaluations
    from aura_core.evaluation.results import read_table

    figures = compare_evaluations(uris[0], uris[1])
    if as_json:
        print(json.dumps([_as_dict(each) for each in figures], indent=2))
        return
    for place, uri in zip(("first: ", "second:"), uris, strict=True):
        out.print(place, escape(uri))
    out.print(_table(figures))
    for note in dict.fromkeys(read_table(uri).note for uri in uris):
        if note:
            out.print(escape(note))


def _as_dict(each: "ComparedFigure") -> dict[str, Any]:
    found = dataclasses.asdict(each)
    for side in ("first", "second"):
        row = getattr(each, side)
        found[side] = row and row.model_dump(include={"value", "ci_low", "ci_high", "n"})
    return found


def _table(figures: "Sequence[ComparedFigure]") -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("task", "metric", "model"):
        table.add_column(name)
    for name in ("first", "second", "change", "95% interval", "p", "n"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in figures:
        table.add_row(*map(escape, _cells(each)))
    return table


def _cells(each: "ComparedFigure") -> list[str]:
    change = each.change
    values = [figure(row.value) if row else "" for row in (each.first, each.second)]
    if change is None:
        return [each.task, each.metric, each.model, *values, "", "", "", "", each.note]
    p = ""
    if change.p_value is not None and change.resamples is not None:
        p = format_p(change.p_value, change.resamples).removeprefix("= ")
    return [
        each.task,
        each.metric,
        each.model,
        *values,
        f"{change.value:+.3f}" if abs(change.value) < 10 else f"{change.value:+.1f}",
        f"{figure(change.low)} to {figure(change.high)}",
        p,
        "" if change.n is None else str(change.n),
        each.note,
    ]
