"""What a flow run leaves in Prefect: its log, what it will do and why, the table, the report."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.logging.handlers import APILogHandler

from aura_core.artifacts import store
from aura_core.evaluation.results import RESULTS_NAME, Row, read_table
from aura_core.explain import StageStatus, explain
from aura_core.stages import REPORT_NAME, StageSpec
from flows.display import reason
from tasks.stage_driver import ECHOED
from tasks.stages import SERVER_ERRORS, StageRun

# What a flow run says, for the Prefect server it reports to.


@contextmanager
def run_log() -> Iterator[None]:
    """Send the lines of the logger `aura` to the server, each with its flow or task run.

    For use inside a flow. Prefect gives a level and a handler to its own loggers only: without
    them every line of ours would be below the root logger's level.
    """
    level = log.level
    handler = APILogHandler()
    log.setLevel(logging.INFO)
    for each in (log, ECHOED):
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in (log, ECHOED):
            each.removeHandler(handler)
        log.setLevel(level)


log = logging.getLogger("aura")
P = ParamSpec("P")


def _harmless(publish: Callable[P, None]) -> Callable[P, None]:
    """A server that is away for a while must not end hours of work."""

    @wraps(publish)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            publish(*args, **kwargs)
        except SERVER_ERRORS as error:
            log.warning("%s: not shown in Prefect's UI: %s", publish.__name__, error)

    return wrapped


@_harmless
def publish_explanation(specs: Mapping[str, StageSpec]) -> None:
    """Show which stages are kept, and why the others are run."""
    create_table_artifact(
        key="explain",
        table=[explanation_row(status) for status in explain(specs)],
        description="What is kept, what is run, and why (`aura explain`).",
    )


@_harmless
def publish_results(evaluate_uri: str) -> None:
    """Show the table of an evaluation."""
    results = read_table(evaluate_uri)
    where = f"95% bootstrap intervals; {store.join(evaluate_uri, RESULTS_NAME)}"
    create_table_artifact(
        key="results",
        table=[result_row(row) for row in results.rows],
        description=" ".join(filter(None, (where, results.note))),
    )


@_harmless
def publish_report(report_uri: str) -> None:
    """Link to the report; a browser opens a file's link only when it is copied to its bar."""
    uri = store.join(report_uri, REPORT_NAME)
    create_link_artifact(
        key="report",
        link=uri if store.is_remote(uri) else f"file://{uri}",
        link_text=uri,
        description=f"The report, one HTML page: `{uri}`",
    )


def publish_stage(run: StageRun) -> None:
    """Show what a finished stage has for people."""
    if run.spec.stage == "evaluate":
        publish_results(run.spec.uri)
    elif run.spec.stage == "report":
        publish_report(run.spec.uri)


def explanation_row(status: StageStatus) -> dict[str, str]:
    return {
        "stage": status.spec.name,
        "artifact": status.spec.fingerprint[:12],
        "state": "kept" if status.kept else "run",
        "why": reason(status),
    }


def result_row(row: Row) -> dict[str, str | int]:
    return {
        "task": row.task,
        "metric": row.metric,
        "model": row.model,
        "value": f"{row.value:.3f}",
        "95% interval": f"{row.ci_low:.3f} to {row.ci_high:.3f}",
        "n": row.n,
    }
