"""`results.md`: the tables of the page as Markdown, ready for a paper or an issue."""

import re
from collections.abc import Iterable, Mapping, Sequence

from aura_core.evaluation.bootstrap import MIN_UTTERANCES
from aura_core.evaluation.results import Difference, Results, Row
from aura_core.report.grid import Figure, build_grid, build_slice_tables
from aura_core.report.headline import build_lines
from aura_core.report.labels import ModelLabel, models_in

NAME = "results.md"
_NONE = "\N{EN DASH}"


def render_markdown(
    results: Results, primary: dict[str, str], recipe: str, fingerprint: str
) -> str:
    """Write every table: results, paired differences, slices; value with its 95% interval.

    Args:
        results: of an evaluation.
        primary: a row's `task` -> the metric its slices are shown in.
        recipe: what ran, in words.
        fingerprint: of the report.
    """
    parts = [
        "# Results",
        f"AuRA report `{fingerprint[:12]}`, recipe {_text(recipe)}. Value (95% interval); n counts "
        "utterances.",
        *([_text(results.note)] if results.note else []),
        *_results(results.rows),
        *_differences(results.differences),
        *_slices(results.rows, primary),
    ]
    return "\n\n".join(parts) + "\n"


def _results(rows: Sequence[Row]) -> Iterable[str]:
    models = models_in(row.model for row in rows)
    for group in build_grid(rows):
        here = [model for model in models if any(model.name in x.figures for x in group.lines)]
        yield f"## {_text(group.title)}" + (f"\n\n{_text(group.note)}" if group.note else "")
        yield _table(
            ["", *(model.title for model in here), "n"],
            [
                [
                    ", ".join(filter(None, (line.label, line.note))),
                    *(_cell(line.figures, model) for model in here),
                    str(line.n),
                ]
                for line in group.lines
            ],
        )


def _differences(differences: Sequence[Difference]) -> Iterable[str]:
    if not differences:
        return
    rivals = models_in(each.other for each in differences)
    yield "## Paired differences"
    yield (
        "AuRA minus each model on the same utterances (95% interval; two-sided p of no "
        "difference, not corrected for the number of comparisons; none below "
        f"n = {MIN_UTTERANCES})."
    )
    yield _table(
        ["", *(rival.title for rival in rivals)],
        [
            [
                f"{line.where}: {line.what}",
                *(
                    f"{duel.value} ({'; '.join(filter(None, (duel.interval, duel.p)))})"
                    if (duel := line.by_rival.get(rival.name))
                    else _NONE
                    for rival in rivals
                ),
            ]
            for line in build_lines(differences)
        ],
    )


def _slices(rows: Sequence[Row], primary: dict[str, str]) -> Iterable[str]:
    for table in build_slice_tables(rows, primary):
        yield f"## {_text(table.benchmark)}, by {_text(table.key)}"
        yield f"{table.metric.title}, {table.metric.direction}"
        yield _table(
            [table.key, *(model.title for model in table.models), "n"],
            [
                [line.value, *(_cell(line.figures, model) for model in table.models), str(line.n)]
                for line in table.lines
            ],
        )


def _cell(figures: Mapping[str, Figure], model: ModelLabel) -> str:
    figure = figures.get(model.name)
    return f"{figure.value} ({_plain(figure.interval)})" if figure else _NONE


def _plain(interval: str) -> str:
    return interval.replace("\N{THIN SPACE}\N{EN DASH}\N{THIN SPACE}", " to ")


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A pipe table, numbers to the right."""
    rules = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(
        _line(cells) for cells in ([_text(h) for h in heads], rules, *map(_row, lines))
    )


def _row(cells: Sequence[str]) -> list[str]:
    return [_text(cell) for cell in cells]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Names come from a corpus: what would be Markdown or a new column is escaped."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", plain)
