"""What a Prefect server knows of its worker, its runs and their stages."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from httpx import HTTPError
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterTaskRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, StateType, TaskRun
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.exceptions import ObjectNotFound

from flows import local_prefect, work_pool
from flows.machines import Machines, read_machines
from flows.server_state import read_state

_ENDED = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
# A progress bar's own account of its pace: `3/40 [00:09<01:51, 3.0s/step]`.
_PACE = re.compile(r"<(?P<left>[\d:?]+), *(?P<rate>[^\],]+)")


@dataclass(frozen=True)
class StageStatus:
    """One stage of a flow run; None where nothing is known."""

    name: str
    state: str
    elapsed_s: float
    percent: float | None
    rate: str | None
    eta_s: float | None


@dataclass(frozen=True)
class RunStatus:
    """One flow run."""

    name: str
    id: str
    state: str
    message: str
    elapsed_s: float
    parameters: dict[str, object]
    stages: list[StageStatus]
    machines: Machines | None = None  # of a run at work


@dataclass(frozen=True)
class ServerStatus:
    """A server, whether anyone takes its runs, and the runs: at work, waiting, last ended."""

    server: str | None
    worker: bool
    paused: bool
    limit: int | None
    active: list[RunStatus]
    waiting: list[str]
    last: RunStatus | None


def read() -> ServerStatus:
    """Ask the server of `aura up`, else the one at $PREFECT_API_URL."""
    state = read_state()
    url = state.url if state and state.server_lives else os.environ.get("PREFECT_API_URL")
    if url is None or not local_prefect.is_healthy(url):
        return ServerStatus(None, False, False, None, [], [], None)
    with work_pool.connect(url) as client:
        try:
            pool = client.read_work_pool(work_pool.NAME)
            worker = work_pool.has_worker(client)
        except (ObjectNotFound, HTTPError):
            return ServerStatus(url, False, False, None, [], [], None)
        # A worker that was killed counts as online until it has missed some heartbeats.
        worker = state.worker_lives if state and state.url == url else worker
        active = work_pool.read_runs(client, work_pool.ACTIVE)
        ended = work_pool.read_runs(client, _ENDED, FlowRunSort.END_TIME_DESC, limit=1)
        return ServerStatus(
            server=url,
            worker=worker,
            paused=bool(pool.is_paused),
            limit=pool.concurrency_limit,
            active=[replace(_run_status(client, run), machines=_machines(run)) for run in active],
            waiting=_due(work_pool.read_runs(client, (StateType.SCHEDULED,))),
            last=_run_status(client, ended[0]) if ended else None,
        )


def stage_status(task: TaskRun, artifacts: Sequence[Artifact], now: datetime) -> StageStatus:
    """Return a task run's state, with the pace its driver's progress bar last told."""
    percent, rate, eta_s = None, None, None
    for artifact in artifacts:
        if artifact.task_run_id == task.id and isinstance(artifact.data, int | float):
            percent = float(artifact.data)
            if found := _PACE.search(artifact.description or ""):
                rate, eta_s = found["rate"].strip(), clock_s(found["left"])
                if eta_s is not None and artifact.updated:
                    # The bar spoke some seconds ago.
                    eta_s = max(0.0, eta_s - (now - artifact.updated).total_seconds())
    running = task.state is not None and task.state.type == StateType.RUNNING
    return StageStatus(
        name=task.name,
        state=task.state.name.lower() if task.state else "unknown",
        elapsed_s=_elapsed_s(task, now),
        percent=percent,
        rate=rate if running else None,
        eta_s=eta_s if running else None,
    )


def clock_s(text: str) -> float | None:
    """Return the seconds of `MM:SS` or `H:MM:SS`; None for a `?`."""
    if "?" in text:
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _run_status(client: work_pool.Client, run: FlowRun) -> RunStatus:
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    tasks = client.read_task_runs(flow_run_filter=chosen, sort=TaskRunSort.EXPECTED_START_TIME_ASC)
    wanted = ArtifactFilter(task_run_id=ArtifactFilterTaskRunId(any_=[task.id for task in tasks]))
    artifacts = client.read_artifacts(artifact_filter=wanted) if tasks else []
    now = datetime.now(UTC)
    return RunStatus(
        name=run.name,
        id=str(run.id),
        state=run.state.name.lower() if run.state else "unknown",
        message=(run.state.message or "") if run.state else "",
        elapsed_s=_elapsed_s(run, now),
        parameters=run.parameters,
        stages=[stage_status(task, artifacts, now) for task in tasks],
    )


def _machines(run: FlowRun) -> Machines | None:
    return read_machines(str(run.parameters.get("launch") or "local"))


def _due(scheduled: Sequence[FlowRun]) -> list[str]:
    """Names of the runs that would work if there were room: not those of next night."""
    now = datetime.now(UTC)
    return [
        run.name for run in scheduled if run.expected_start_time and run.expected_start_time <= now
    ]


def _elapsed_s(run: FlowRun | TaskRun, now: datetime) -> float:
    if run.start_time is None:
        return 0.0
    elapsed: timedelta = (run.end_time or now) - run.start_time
    return elapsed.total_seconds()
