"""The work pool of the deployments: how many runs at once, whose process is gone, who works."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Cancelling, Crashed
from prefect.workers.process import ProcessWorker

NAME = "aura"
Client = SyncPrefectClient
ACTIVE = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
_POOL = WorkPoolFilter(name=WorkPoolFilterName(any_=[NAME]))
_FLOW_RUN_ID = "PREFECT__FLOW_RUN_ID"


@contextmanager
def connect(url: str) -> Iterator[Client]:
    """Open a client of the server at an API address; its password comes from the environment."""
    password = os.environ.get("PREFECT_API_AUTH_STRING") or os.environ.get(
        "PREFECT_SERVER_API_AUTH_STRING"
    )
    with SyncPrefectClient(url, auth_string=password) as client:
        yield client


def ensure(client: Client, limit: int | None) -> None:
    """Make the process pool if it is not there, and let it take runs.

    At most `limit` flow runs work at once; None leaves it as it is, at first one.
    """
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(
        name=NAME,
        type=ProcessWorker.type,
        base_job_template=template,
        concurrency_limit=1 if limit is None else limit,
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        changed = {"is_paused": False} | ({} if limit is None else {"concurrency_limit": limit})
        client.update_work_pool(NAME, WorkPoolUpdate.model_validate(changed))


def read_runs(
    client: Client,
    states: Sequence[StateType],
    sort: FlowRunSort = FlowRunSort.EXPECTED_START_TIME_ASC,
    limit: int | None = None,
) -> list[FlowRun]:
    """Return the pool's flow runs in one of these states."""
    chosen = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))))
    return client.read_flow_runs(
        flow_run_filter=chosen, work_pool_filter=_POOL, sort=sort, limit=limit
    )


def has_worker(client: Client, name: str | None = None) -> bool:
    """Whether a worker (this one, if named) is online."""
    online = _online_workers(client)
    return bool(online) if name is None else name in online


def _online_workers(client: Client) -> list[str]:
    workers = client.read_workers_for_work_pool(NAME)
    return [worker.name for worker in workers if worker.status == WorkerStatus.ONLINE]


def crash_orphans(
    client: Client, processes: Sequence[psutil.Process], dead_worker: str
) -> list[str]:
    """Mark runs without a process as crashed, which frees their place; return their names.

    Does nothing while another worker is online: the runs may be its own, on another machine.
    For a minute and a half the server takes a killed worker for one that is online.
    """
    if any(name != dead_worker for name in _online_workers(client)):
        return []
    alive = {process.environ().get(_FLOW_RUN_ID) for process in processes}
    orphans = [run for run in read_runs(client, ACTIVE) if str(run.id) not in alive]
    for run in orphans:
        state = Crashed(message="The worker and the process of this run are gone; run it again.")
        client.set_flow_run_state(run.id, state, force=True)
    return [run.name for run in orphans]


def cancel_runs(client: Client, timeout_s: float, tell: Callable[[str], None]) -> None:
    """Take no further run, and cancel those at work; scheduled ones wait for the next start."""
    try:
        client.update_work_pool(NAME, WorkPoolUpdate(is_paused=True))
    except ObjectNotFound:
        # A server that was stopped before `aura up` had made the pool.
        return
    for run in read_runs(client, ACTIVE):
        tell(f"cancelling flow run {run.name}; running it again goes on from what is finished")
        client.set_flow_run_state(run.id, Cancelling(message="aura down"))
    deadline_s = time.monotonic() + timeout_s
    while (left := read_runs(client, ACTIVE)) and time.monotonic() < deadline_s:
        time.sleep(0.5)
    for run in left:
        tell(f"flow run {run.name} did not end within {timeout_s:.0f} s: killing it")
        client.set_flow_run_state(run.id, Crashed(message="Killed by aura down."), force=True)
