"""The stages as Prefect tasks: a skip on a hit, else a Ray driver and a look at its manifest.

Manifests decide what is done; Prefect's own cache is off, as it would not see a
deleted output. Prefect gives names, states, logs and retries of whole jobs.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import task_run

from aura_core.artifacts.manifest import require_manifest
from aura_core.pipeline import STAGE_INPUTS, StageSpec, is_complete
from tasks.launch import StageCrashError, launch

log = logging.getLogger("aura")


def make_artifact(spec: StageSpec, where: str) -> str:
    """Make sure the stage's artifact is there; return its URI."""
    name = f"{spec.name} {spec.fingerprint[:12]}"
    if is_complete(spec):
        log.info("hit  %s", name)
        return spec.uri
    log.info("run  %s", name)
    started = time.monotonic()
    show = _progress(spec)
    launch(spec, where, show)
    require_manifest(spec.uri)
    if show:
        show(100.0)
    log.info("done %s in %.0f s", name, time.monotonic() - started)
    return spec.uri


def _progress(spec: StageSpec) -> Callable[[float], None] | None:
    """Show in Prefect's UI how much of the stage is done; None outside of Prefect."""
    if task_run.id is None:
        return None
    artifact = create_progress_artifact(
        progress=0.0,
        key=f"{spec.stage.replace('_', '-')}-progress",
        description=f"{spec.name} {spec.fingerprint[:12]}",
    )

    def show(percent: float) -> None:
        try:
            update_progress_artifact(artifact_id=artifact, progress=percent)
        except httpx.HTTPError as error:
            # A server that is away for a while must not end hours of work.
            log.warning("progress is not shown: %s", error)

    return show


def is_crash(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Only crashes are worth a retry: a mistake stays one until the user mends it."""
    try:
        state.result()
    except StageCrashError:
        return True
    except BaseException:  # noqa: BLE001 - whatever it is, it is not a crash of a driver
        return False
    return False


def _run_name() -> str:
    spec: StageSpec = task_run.parameters["spec"]
    return f"{spec.name} {spec.fingerprint[:12]}"


def _stage_task(name: str) -> Task[..., str]:
    return Task(
        make_artifact,
        name=name,
        task_run_name=_run_name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 15],
        retry_condition_fn=is_crash,
    )


STAGE_TASKS = {stage: _stage_task(stage) for stage in STAGE_INPUTS}
