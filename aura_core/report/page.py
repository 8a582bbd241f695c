"""The report from the artifacts of a run: one self-contained HTML page, and Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from aura_core.config.overrides import MAIN, by_model
from aura_core.config.run import ReportConfig
from aura_core.evaluation.bootstrap import MIN_UTTERANCES, SIGNIFICANCE
from aura_core.evaluation.items import CORPUS
from aura_core.evaluation.results import Difference, Results, Row, read_table
from aura_core.evaluation.scoring import Answers, primary_metrics, read_answers
from aura_core.explain import recipe_name
from aura_core.report import figures, grid, headline, provenance
from aura_core.report.confusion import build_confusions
from aura_core.report.grid import Figure, build_grid, build_slice_tables
from aura_core.report.headline import build_lines
from aura_core.report.history import read_history
from aura_core.report.labels import BASE_CSS, ModelLabel, metric_of, models_in
from aura_core.report.provenance import describe_splits
from aura_core.report.samples import SEED, build_samples

# `results.md`: the tables of the page as Markdown, ready for a paper or an issue.

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
        *_result_lines(results.rows),
        *_differences(results.differences),
        *_slices(results.rows, primary),
    ]
    return "\n\n".join(parts) + "\n"


def _result_lines(rows: Sequence[Row]) -> Iterable[str]:
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


TEMPLATE = "report.html.j2"


def render_report(inputs: Mapping[str, str], config: ReportConfig, fingerprint: str) -> str:
    """Render the page.

    Args:
        inputs: URI of each input artifact: ingest, teacher_cache, text_lora, distil, evaluate,
            and further students and benchmarks.
        config: how many samples.
        fingerprint: the report's own, shown on the page.

    Raises:
        AuraError: if an input is incomplete or damaged.
    """
    # First what tells an input that is not there.
    stages = provenance.summarise_stages(inputs)
    results = read_table(inputs["evaluate"])
    answers = read_answers(inputs["evaluate"], inputs)
    context = {
        "fingerprint": fingerprint,
        "recipe": recipe_name(inputs),
        "splits": describe_splits(inputs[CORPUS], (row.task for row in results.rows)),
        "stages": stages,
        "versions": provenance.library_versions(inputs),
        "rejections": provenance.rejections(inputs["ingest"]),
        "css": Markup(BASE_CSS.read_text(encoding="utf-8") + _packaged("report.css")),
        "js": Markup(_packaged("report.js")),
        **_results(results),
        **_answers(inputs, answers, config),
        **_training(inputs),
    }
    return _environment().get_template(TEMPLATE).render(context)


def _results(results: Results) -> dict[str, Any]:
    rows, differences = results.rows, results.differences
    primary = primary_metrics(rows)
    slices = build_slice_tables(rows, primary)
    return {
        "verdict": headline.build_verdict(results),
        "sentences": headline.build_sentences(results),
        "note": results.note,
        "min_utterances": MIN_UTTERANCES,
        "significance": SIGNIFICANCE,
        "above_one": any(row.value > 1 for row in rows if metric_of(row.metric).unit == "%"),
        "models": models_in(row.model for row in rows),
        "groups": grid.build_grid(rows),
        "verdicts": headline.build_verdicts(differences),
        "duels": headline.build_lines(differences),
        "rivals": models_in(each.other for each in differences),
        "quality": figures.quality_panels(rows, primary),
        "slices": slices,
        "ladders": figures.ladder_panels(slices),
        "ladder_models": models_in(
            model
            for table in slices
            for ladder in table.ladders
            for step in ladder.rows
            for model in step
        ),
    }


def _answers(inputs: Mapping[str, str], answers: Answers, config: ReportConfig) -> dict[str, Any]:
    samples = build_samples(inputs, answers, config.samples)
    return {
        "clips": samples,
        "seed": SEED,
        "places": sorted({sample.where for sample in samples.further}),
        "confusions": build_confusions(answers),
    }


def _training(inputs: Mapping[str, str]) -> dict[str, Any]:
    models = by_model(inputs)
    trained = ["text_lora", *(name for names in models.values() for name in names)]
    read = {name: read_history(inputs[name]) for name in trained}
    histories = {stage: read[stage] for stage in (MAIN, "text_lora")}
    titles = {stage: provenance.stage_title(stage) for stage in histories}
    students = {model: [read[name] for name in names] for model, names in models.items()}
    return {
        "figures": figures.run_figures(inputs, histories),
        "progress": figures.progress_panels(students),
        "training": {titles[stage]: history.facts() for stage, history in histories.items()},
        "profiles": {titles[stage]: history.profile() for stage, history in histories.items()},
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_packaged),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _packaged(name: str) -> str:
    return resources.files("aura_core.report").joinpath(name).read_text(encoding="utf-8")
