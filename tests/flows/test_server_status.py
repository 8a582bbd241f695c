"""Progress, rate and time left, as the driver's progress bar told them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psutil
import pytest
from prefect.client.schemas.objects import Artifact, TaskRun
from prefect.states import Completed, Running
from rich.console import Console

from flows import server_status
from flows.server_status import (
    Machines,
    RunStatus,
    ServerStatus,
    StageStatus,
    clock_s,
    duration,
    panel,
    read_machines,
    stage_status,
    total,
)


def test_this_machine_is_measured():
    found = read_machines("local")
    assert found.resources == {"CPU": psutil.cpu_count()}
    assert found.memory_bytes == psutil.virtual_memory().total
    assert 0 <= found.busy <= 1


def test_nodes_are_added_up_without_rays_own_marks():
    head = {"CPU": 4.0, "memory": 1e9, "object_store_memory": 5e8, "node:10.0.0.1": 1.0}
    worker = {"CPU": 8.0, "GPU": 1.0, "fast_disk": 2.0, "memory": 2e9, "accelerator_type:A100": 1.0}
    found = total("http://head:8265", [head, worker])
    assert found == Machines(
        "http://head:8265", 2, {"CPU": 12.0, "GPU": 1.0, "fast_disk": 2.0}, 3_000_000_000
    )


def test_a_cluster_that_does_not_answer_is_none():
    assert read_machines("http://127.0.0.1:9") is None


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PACE = "distil 0123456789ab 12/30 [00:10<02:00, 1.20step/s]"


def task(state):
    return TaskRun(
        id=uuid4(), name="distil 0123456789ab", task_key="distil", dynamic_key="0", state=state,
        start_time=NOW - timedelta(seconds=70),
    )  # fmt: skip


def progress(run, percent, description):
    told = NOW - timedelta(seconds=20)
    return Artifact(task_run_id=run.id, data=percent, description=description, updated=told)


def test_a_running_stage_has_the_bars_pace_and_what_has_passed_since_is_off_its_time_left():
    run = task(Running())
    found = stage_status(run, [progress(task(Running()), 99.0, ""), progress(run, 40.0, PACE)], NOW)
    assert found == StageStatus("distil 0123456789ab", "running", 70.0, 40.0, "1.20step/s", 100.0)


@pytest.mark.parametrize(
    ("pace", "silent_s", "eta_s", "stalled"),
    [
        ("[00:10<02:00, 1.20step/s]", 119, 1, False),
        ("[00:10<02:00, 1.20step/s]", 121, None, False),  # late: a validation, perhaps
        ("[00:10<02:00, 1.20step/s]", 301, None, True),
        ("[10:00<1:50:00, 600s/step]", 1199, 5401, False),  # the second lot may take longer
        ("[10:00<1:50:00, 600s/step]", 1201, None, True),
        ("[1:50:00<10:00, 600s/step]", 1201, None, True),
        ("[00:10<00:00, 1.20step/s]", 9999, None, False),  # all counted: being finished
        ("[00:10<?, ?step/s]", 9999, None, False),
    ],
)
def test_a_bar_that_is_silent_for_too_long_has_stalled_and_no_time_left(
    pace, silent_s, eta_s, stalled
):
    run = task(Running())
    told = NOW - timedelta(seconds=silent_s)
    bar = Artifact(task_run_id=run.id, data=40.0, description=f"distil 4/10 {pace}", updated=told)
    found = stage_status(run, [bar], NOW)
    assert (found.eta_s, found.stalled_s) == (eta_s, silent_s if stalled else None)
    assert stage_status(task(Completed()), [bar], NOW).stalled_s is None
    active = RunStatus("demo", "id", "running", "", 75.0, {"launch": "http://head:8265"}, [found])
    text = shown(ServerStatus("http://127.0.0.1:1/api", True, False, 1, [active], [], None))
    assert ("stalled: no progress for" in text) is stalled
    assert " 0:00" not in text


@pytest.mark.parametrize("description", ["distil 0123456789ab", "x 0/? [00:00<?, ?step/s]", None])
def test_without_a_pace_there_is_no_time_left(description):
    run = task(Running())
    found = stage_status(run, [progress(run, 0.0, description)], NOW)
    assert (found.percent, found.eta_s) == (0.0, None)


def test_a_finished_stage_has_nothing_left():
    run = task(Completed())
    found = stage_status(run, [progress(run, 100.0, PACE)], NOW)
    assert (found.rate, found.eta_s) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05", 5), ("02:00", 120), ("1:00:01", 3601), ("?", None)]
)
def test_clocks_are_read(text, seconds):
    assert clock_s(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3601, "1:00:01"), (None, "")]
)
def test_durations_are_shown(seconds, text):
    assert duration(seconds) == text


def shown(status):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(panel(status))
    return capture.get()


def test_a_run_at_work_is_shown_and_not_the_last_one():
    stage = StageStatus("distil 0123456789ab", "running", 70.0, 40.0, "1.20step/s", 100.0)
    cluster = server_status.total("http://head:8265", [{"CPU": 8.0, "memory": 4e9}] * 2)
    active = RunStatus("demo [x]", "id", "running", "", 75.0, {}, [stage], cluster)
    last = RunStatus("older", "id", "failed", "it broke", 5.0, {}, [])
    status = ServerStatus("http://127.0.0.1:1/api", True, False, 1, [active], ["next"], last)
    text = shown(status)
    for part in (
        "demo [x]",
        "40%",
        "1.20step/s",
        "1:40",
        "waiting  next",
        "(2 nodes): 16 CPU, 8 GB",
    ):
        assert part in text
    assert "older" not in text
    idle = shown(ServerStatus("http://127.0.0.1:1/api", False, True, None, [], [], last))
    for part in ("older", "it broke", "none: runs wait", "any number", "paused"):
        assert part in idle


def test_a_cluster_that_is_away_is_said():
    active = RunStatus("demo", "id", "running", "", 75.0, {"launch": "http://head:8265"}, [])
    status = ServerStatus("http://127.0.0.1:1/api", True, False, 1, [active], [], None)
    assert "http://head:8265, which does not answer" in shown(status)


def test_no_server_says_how_to_start_one():
    assert "aura up" in shown(ServerStatus(None, False, False, None, [], [], None))
