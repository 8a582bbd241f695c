"""One self-contained HTML page from the artifacts of a run; it loads nothing from anywhere."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from aura_core.artifacts import store
from aura_core.config import ReportConfig
from aura_core.evaluation.table import read_results
from aura_core.report import charts, grid, headline, provenance
from aura_core.report.history import History, read_history, read_similarity
from aura_core.report.samples import build_samples, read_all_predictions

TEMPLATE = "report.html.j2"


def render_report(inputs: Mapping[str, str], config: ReportConfig, fingerprint: str) -> str:
    """Render the page.

    Args:
        inputs: URI of each input artifact: ingest, teacher_cache, text_lora, distil, evaluate.
        config: how many samples.
        fingerprint: the report's own, shown on the page.

    Raises:
        AuraError: if an input is incomplete or damaged.
    """
    rows = read_results(inputs["evaluate"])
    samples = build_samples(
        inputs["ingest"], read_all_predictions(inputs["evaluate"]), config.samples
    )
    histories = {stage: read_history(inputs[stage]) for stage in ("distil", "text_lora")}
    context: dict[str, Any] = {
        "fingerprint": fingerprint,
        "sentence": headline.build_sentence(rows),
        "cards": headline.build_cards(rows),
        "models": grid.models_in(rows),
        "sections": grid.build_grid(rows),
        "figures": _figures(inputs, histories),
        "training": {
            provenance.TITLES[stage]: history.facts() for stage, history in histories.items()
        },
        "profiles": {
            provenance.TITLES[stage]: history.profile() for stage, history in histories.items()
        },
        "samples": samples,
        "splits": list(dict.fromkeys(sample.split for sample in samples)),
        "stages": provenance.summarise_stages(inputs),
        "versions": provenance.library_versions(inputs),
        "rejections": provenance.rejections(inputs["ingest"]),
        "css": Markup(_packaged("report.css")),
        "js": Markup(_packaged("report.js")),
    }
    return _environment().get_template(TEMPLATE).render(context)


def read_ttft_ms(evaluate_uri: str) -> dict[str, list[float]]:
    """Milliseconds to the first token, per model in the order of the columns, clip by clip."""
    uri = store.join(evaluate_uri, "latency.jsonl")
    if not store.exists(uri):
        return {}
    by_model: dict[str, list[float]] = {}
    for line in filter(None, store.read_text(uri).split("\n")):
        timing = json.loads(line)
        by_model.setdefault(timing["model"], []).append(float(timing["ttft_ms"]))
    known = [model for model in grid.MODELS if model in by_model]
    return {model: by_model[model] for model in [*known, *sorted(by_model.keys() - set(known))]}


def _figures(inputs: Mapping[str, str], histories: Mapping[str, History]) -> dict[str, Markup]:
    """The charts there is something to draw for, as SVG made by matplotlib from our numbers."""
    distil, text_lora = histories["distil"], histories["text_lora"]
    ttft_ms = read_ttft_ms(inputs["evaluate"])
    similarity = read_similarity(inputs["distil"])
    drawn: dict[str, str] = {}
    if ttft_ms:
        titles = {model: grid.model_label(model).title for model in ttft_ms}
        drawn["latency"] = charts.latency_chart(ttft_ms, titles, "latency")
    if _has_curves(distil):
        drawn["distil"] = charts.loss_chart(distil, "distil")
    if distil.blocks():
        drawn["blocks"] = charts.block_chart(distil, "blocks")
    if similarity:
        drawn["similarity"] = charts.similarity_chart(similarity, "similarity")
    if _has_curves(text_lora):
        drawn["text_lora"] = charts.loss_chart(text_lora, "text-lora")
    return {name: Markup(svg) for name, svg in drawn.items()}


def _has_curves(history: History) -> bool:
    return any(history.series(name) for name in ("ce", "distil", "ctc"))


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
