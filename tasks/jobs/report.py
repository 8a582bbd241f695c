"""Driver of the report; it needs no Ray.

python -m tasks.jobs.report --spec URI
"""

from typing import Any

from aura_core.artifacts import store
from aura_core.config import ReportConfig
from aura_core.pipeline import StageSpec
from aura_core.report.page import render_report
from tasks.jobs import driver

NAME = "report.html"


def run(spec: StageSpec) -> tuple[list[str], dict[str, int], dict[str, Any]]:
    """Make the artifact of a report: one HTML file."""
    config = driver.spec_config(spec, ReportConfig)
    html = render_report(spec.inputs, config, spec.fingerprint)
    store.write_text(store.join(spec.uri, NAME), html)
    return [NAME], {"size_bytes": len(html.encode())}, {}


if __name__ == "__main__":
    driver.main(run, uses_ray=False)
