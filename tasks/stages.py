"""The stages as Prefect tasks: what is finished is skipped, else a driver is launched.

Manifests decide what is done; Prefect's own cache is off, as it would not see a deleted output.
Prefect gives names, states, logs and retries of whole jobs.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import task_run

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, read_manifest, require_manifest
from aura_core.config.stage import single_node
from aura_core.errors import AuraError
from aura_core.stages import STAGES, StageSpec
from tasks.local_driver import LocalRay, run_driver
from tasks.stage_driver import Launch, OnProgress, StageLostError

# Where the drivers of a run's stages run: as subprocesses here, or as jobs on a cluster.


@contextmanager
def launcher(where: str, specs: Sequence[StageSpec]) -> Iterator[Launch]:
    """Give a function that runs one stage's driver to its end.

    It raises AuraError for a mistake the user can mend, in the driver's own words, StageLostError
    for what may pass, and StageCrashError for anything else that keeps a driver from finishing.

    Args:
        where: "local" or the address of a Ray cluster's job server (http://host:8265).
        specs: the stages of the run, which share one Ray here.
    """
    if where == "local":
        with closing(LocalRay(single_node(spec.runtime for spec in specs))) as local_ray:
            yield partial(run_driver, local_ray)
    elif where.startswith(("http://", "https://")):
        from tasks.submit import connect, run_job

        # Before any stage says that it begins.
        connect(where)

        yield partial(run_job, where)
    else:
        raise AuraError(
            f"launch {where!r}: local, or the address of a Ray cluster's job server, such as "
            "http://ray-head:8265"
        )


log = logging.getLogger("aura")
# A server that is away for a while must not end hours of work.
SERVER_ERRORS = (httpx.HTTPError, PrefectHTTPStatusError)


@dataclass(frozen=True)
class StageRun:
    """What a stage took; None where it cannot be known."""

    spec: StageSpec
    kept: bool
    wall_s: float
    cpu_s: float | None
    read_bytes: int  # of the artifacts it is made from
    written_bytes: int  # of its own

    @property
    def gpu_s(self) -> float:
        """GPU seconds its workers held, whatever they did with them."""
        runtime = self.spec.runtime
        return 0.0 if self.kept else self.wall_s * runtime.workers * runtime.gpus_per_worker

    @property
    def name(self) -> str:
        return f"{self.spec.name} {self.spec.fingerprint[:12]}"


def make_artifact(spec: StageSpec, launch: Launch) -> StageRun:
    """Make sure the stage's artifact is there; say what it took."""
    name = f"{spec.name} {spec.fingerprint[:12]}"
    started = time.monotonic()
    found = read_manifest(spec.uri)
    if found is not None:
        log.info("kept %s", name)
        return _stage_run(spec, found, True, time.monotonic() - started, None)
    log.info("run  %s", name)
    show = _progress(spec)
    store.write_text(spec.spec_uri, spec.model_dump_json(indent=2) + "\n")
    cpu_s = launch(spec, show)
    made = require_manifest(spec.uri)
    if show:
        show(100.0, "")
    run = _stage_run(spec, made, False, time.monotonic() - started, cpu_s)
    log.info("done %s in %.0f s", name, run.wall_s)
    return run


def _stage_run(
    spec: StageSpec, made: Manifest, kept: bool, wall_s: float, cpu_s: float | None
) -> StageRun:
    inputs = [] if kept else map(read_manifest, spec.inputs.values())
    read_bytes = sum(_size_bytes(manifest) for manifest in inputs if manifest)
    return StageRun(spec, kept, wall_s, cpu_s, read_bytes, _size_bytes(made))


def _size_bytes(manifest: Manifest) -> int:
    return sum(file.size_bytes for file in manifest.files)


def _progress(spec: StageSpec) -> OnProgress | None:
    """Show in Prefect's UI how much of the stage is done; None outside of Prefect."""
    if task_run.id is None:
        return None
    name = f"{spec.name} {spec.fingerprint[:12]}"
    key = f"{spec.stage.replace('_', '-')}-progress"
    try:
        artifact = create_progress_artifact(progress=0.0, key=key, description=name)
    except SERVER_ERRORS as error:
        log.warning("%s: progress is not shown: %s", name, error)
        return None

    def show(percent: float, pace: str) -> None:
        try:
            update_progress_artifact(
                artifact_id=artifact, progress=percent, description=f"{name} {pace}".rstrip()
            )
        except SERVER_ERRORS as error:
            log.warning("progress is not shown: %s", error)

    return show


def is_lost(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass is worth a retry: a mistake, and an error of the code, stay."""
    try:
        state.result()
    except StageLostError:
        return True
    except BaseException:  # noqa: BLE001 - whatever it is, another try ends the same
        return False
    return False


def _run_name() -> str:
    spec: StageSpec = task_run.parameters["spec"]
    return f"{spec.name} {spec.fingerprint[:12]}"


def _stage_task(name: str) -> Task[..., StageRun]:
    return Task(
        make_artifact,
        name=name,
        task_run_name=_run_name,
        tags=["aura", name],
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 15],
        retry_condition_fn=is_lost,
    )


STAGE_TASKS = {stage: _stage_task(stage) for stage in STAGES}
