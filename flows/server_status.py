"""What a Prefect server knows of its worker, its runs and their stages, and how it is shown."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
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
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows import local_prefect, work_pool
from flows.server import read_state

# What a run has to work with: the nodes of a Ray cluster, or this machine.

# Ray's own marks of a node, beside what work can ask for.
_MARKS = ("node:", "accelerator_type:")
_MEMORY = ("memory", "object_store_memory")
_TIMEOUT_S = 5


@dataclass(frozen=True)
class Machines:
    """Resources by Ray's names; `busy` is the share of this machine's CPUs at work, 0 to 1."""

    where: str
    nodes: int
    resources: dict[str, float]
    memory_bytes: int
    busy: float | None = None


def read_machines(launch: str) -> Machines | None:
    """Look at where a run works: `local`, or a cluster's address; None if it does not answer."""
    return _this_machine() if launch == "local" else _cluster(launch)


def _this_machine() -> Machines:
    return Machines(
        where="this machine",
        nodes=1,
        resources={"CPU": float(psutil.cpu_count() or 1)},
        memory_bytes=psutil.virtual_memory().total,
        # Over a moment: the first answer without one would be meaningless.
        busy=psutil.cpu_percent(interval=0.1) / 100,
    )


def _cluster(address: str) -> Machines | None:
    from ray.exceptions import RayError
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    try:
        nodes = list_nodes(
            address=address, filters=[("state", "=", "ALIVE")], timeout=_TIMEOUT_S, detail=True
        )
    except (RayStateApiException, RayError, OSError) as error:
        logging.getLogger("aura").debug("%s: %s", address, error)
        return None
    return total(address, [dict(node.resources_total or {}) for node in nodes])


def total(where: str, nodes: Sequence[dict[str, Any]]) -> Machines:
    """Add up the resources of nodes, as Ray lists them."""
    resources: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            if name not in _MEMORY and not name.startswith(_MARKS):
                resources[name] = resources.get(name, 0) + amount
    memory_bytes = sum(int(node.get("memory", 0)) for node in nodes)
    return Machines(where, len(nodes), resources, memory_bytes)


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


# The state of a server and its runs, for a terminal.

_COLOURS = {"completed": "green", "running": "cyan", "failed": "red", "crashed": "red"}


def panel(status: ServerStatus) -> RenderableType:
    """Return the server, the worker, the runs at work, and else how the last one ended."""
    if status.server is None:
        return Text("server   not running: start one with `aura up`")
    worker = "online" if status.worker else "none: runs wait until `aura up` starts one"
    limit = "any number of runs" if status.limit is None else f"at most {status.limit}"
    waiting = ", ".join(status.waiting) or "none"
    parts: list[RenderableType] = [
        Text(f"server   {status.server.removesuffix('/api')}"),
        Text(f"worker   {worker} ({limit} at once)"),
        Text(f"waiting  {waiting}"),
    ]
    if status.paused:
        parts.append(Text("paused   no run is started: `aura up` goes on"))
    shown = status.active or ([status.last] if status.last else [])
    for run in shown:
        parts += [Text(""), _headline(run)]
        if run in status.active:
            parts.append(Text(f"on       {_machine_names(run)}"))
        parts.append(_stage_table(run))
    if not shown:
        parts.append(Text("no run yet: prefect deployment run aura/full-pipeline"))
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """Return `M:SS` or `H:MM:SS`; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _headline(run: RunStatus) -> Text:
    line = Text.from_markup(
        f"run      {escape(run.name)} {_coloured(run.state)} {duration(run.elapsed_s)}"
    )
    if run.state != "completed" and run.message:
        line.append(f"  {run.message}")
    return line


def _machine_names(run: RunStatus) -> str:
    found = run.machines
    if found is None:
        return f"{run.parameters.get('launch')}, which does not answer"
    parts = [f"{amount:g} {name}" for name, amount in sorted(found.resources.items())]
    parts.append(f"{found.memory_bytes / 1e9:.0f} GB")
    if found.busy is not None:
        parts.append(f"CPUs {found.busy:.0%} busy")
    nodes = "" if found.nodes == 1 else f" ({found.nodes} nodes)"
    return f"{found.where}{nodes}: {', '.join(parts)}"


def _stage_table(run: RunStatus) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("  stage", "state"):
        table.add_column(name)
    for name in ("time", "done", "rate", "left"):
        table.add_column(name, justify="right")
    for stage in run.stages:
        table.add_row(
            f"  {escape(stage.name)}",
            _coloured(stage.state),
            duration(stage.elapsed_s),
            "" if stage.percent is None else f"{stage.percent:.0f}%",
            escape(stage.rate or ""),
            _left(stage),
        )
    return table


def _left(stage: StageStatus) -> str:
    if stage.stalled_s is None:
        return duration(stage.eta_s)
    return f"[red]stalled: no progress for {duration(stage.stalled_s)}[/]"


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state
