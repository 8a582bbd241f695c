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
_PACE = re.compile(r"\[(?P<taken>[\d:]+)<(?P<left>[\d:?]+), *(?P<rate>[^\],]+)")
# A checkpoint and a validation, which no bar counts, take less.
_STALLED_S = 300.0


@dataclass(frozen=True)
class StageStatus:
    """One stage of a flow run; None where nothing is known."""

    name: str
    state: str
    elapsed_s: float
    percent: float | None
    rate: str | None
    eta_s: float | None
    stalled_s: float | None = None  # without a word, if that is longer than its pace explains


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
    running = task.state is not None and task.state.type == StateType.RUNNING
    percent, rate, eta_s, stalled_s = None, None, None, None
    for artifact in artifacts:
        if artifact.task_run_id == task.id and isinstance(artifact.data, int | float):
            percent = float(artifact.data)
            pace = _PACE.search(artifact.description or "")
            if running and pace:
                rate = pace["rate"].strip()
                silent_s = (now - artifact.updated).total_seconds() if artifact.updated else 0.0
                eta_s, stalled_s = _outlook(pace["taken"], pace["left"], silent_s)
    return StageStatus(
        name=task.name,
        state=task.state.name.lower() if task.state else "unknown",
        elapsed_s=_elapsed_s(task, now),
        percent=percent,
        rate=rate,
        eta_s=eta_s,
        stalled_s=stalled_s,
    )


def _outlook(taken: str, left: str, silent_s: float) -> tuple[float | None, float | None]:
    """The time left, or for how long a stalled stage has been silent; neither if nobody knows.

    A bar counts in lots of unknown size, the first of which tells of none before it: it may take
    as long again as all before it, and as what it said was left, but not much longer.
    """
    taken_s, left_s = clock_s(taken), clock_s(left)
    if taken_s is None or not left_s:
        # Nothing is counted yet, or all of it is and the stage is being finished.
        return None, None
    if silent_s > max(_STALLED_S, 2 * min(taken_s, left_s)):
        return None, silent_s
    return (left_s - silent_s if silent_s < left_s else None), None


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
