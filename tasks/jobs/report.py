"""Driver of the report; it needs no Ray.

python -m tasks.jobs.report --spec URI
"""

from typing import Any

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.run import ReportConfig
from aura_core.evaluation import results as figures
from aura_core.evaluation.results import read_table
from aura_core.evaluation.scoring import primary_metrics
from aura_core.explain import recipe_name
from aura_core.report import page
from aura_core.report.page import render_report
from aura_core.stages import REPORT_NAME, StageSpec
from tasks.jobs import driver


def run(spec: StageSpec) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Make the artifact of a report: the page, and its figures as Parquet and Markdown."""
    config = driver.spec_config(spec, ReportConfig)
    html = render_report(spec.inputs, config, spec.fingerprint)
    evaluate = spec.inputs["evaluate"]
    results = read_table(evaluate)
    rows = results.rows
    figures.write_parquet(
        store.join(spec.uri, figures.PARQUET_NAME),
        rows,
        require_manifest(evaluate),
        spec.fingerprint,
        spec.input_fingerprints,
    )
    text = page.render_markdown(
        results, primary_metrics(rows), recipe_name(spec.inputs), spec.fingerprint
    )
    store.write_text(store.join(spec.uri, page.NAME), text)
    store.write_text(store.join(spec.uri, REPORT_NAME), html)
    counts = {"figures": len(rows), "size_bytes": len(html.encode())}
    return [REPORT_NAME, figures.PARQUET_NAME, page.NAME], counts, {}


if __name__ == "__main__":
    driver.main(run)
