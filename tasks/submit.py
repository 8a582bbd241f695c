"""Run a stage's driver as a Ray job on a cluster, and follow it to its end."""

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ray.job_submission import JobStatus, JobSubmissionClient

import aura_core
from aura_core.errors import AuraError
from aura_core.pipeline import StageSpec
from tasks.launch import StageCrashError, driver_command, raise_for_exit
from tasks.output import LineLog, OnProgress

log = logging.getLogger("aura")

_LIVE = (JobStatus.PENDING, JobStatus.RUNNING)
_PASSED_ON = ("AWS_", "AURA_", "HF_")


def run_job(spec: StageSpec, address: str, on_progress: OnProgress | None) -> None:
    """Submit the driver to the job server at `address`, or adopt its live job, and wait.

    Raises:
        AuraError: the cluster cannot be reached or takes no job, or a mistake in the driver's
            own words.
        StageCrashError: the job failed otherwise or was stopped.
    """
    try:
        client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise AuraError(f"no Ray job server at {address}: {error}") from error
    try:
        job_id = adopt_or_submit(client, spec)
    except RuntimeError as error:
        raise AuraError(f"the cluster at {address} takes no job: {error}") from error
    try:
        output = asyncio.run(_follow(client, job_id, on_progress))
    except BaseException:
        client.stop_job(job_id)
        raise
    info = client.get_job_info(job_id)
    if info.status == JobStatus.STOPPED:
        raise StageCrashError(f"job {job_id} was stopped")
    exit_code = info.driver_exit_code if info.driver_exit_code is not None else 1
    raise_for_exit(spec, 0 if info.status == JobStatus.SUCCEEDED else exit_code, output.error_line)


def adopt_or_submit(client: JobSubmissionClient, spec: StageSpec) -> str:
    """Return the id of the stage's live job; submit the next attempt if there is none."""
    known = {job.submission_id: job.status for job in client.list_jobs()}
    for job_id in _attempts(spec):
        status = known.get(job_id)
        if status in _LIVE:
            log.info("adopting job %s", job_id)
            return job_id
        if status is None:
            return _submit(client, spec, job_id)
    raise AssertionError("the attempts never end")


def _attempts(spec: StageSpec) -> Iterator[str]:
    attempt = 1
    while True:
        yield f"aura-{spec.stage}-{spec.fingerprint[:12]}-a{attempt}"
        attempt += 1


def _submit(client: JobSubmissionClient, spec: StageSpec, job_id: str) -> str:
    log.info("submitting job %s", job_id)
    return client.submit_job(
        entrypoint=" ".join(["python", *driver_command(spec)]),
        submission_id=job_id,
        runtime_env=_runtime_env(),
        metadata={"stage": spec.stage, "artifact": spec.uri},
    )


def _runtime_env() -> dict[str, Any]:
    """The code of this checkout, and the settings that reach the storage and the models."""
    env_vars = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    # Ray leaves out what .gitignore names: the virtual environment and the runs.
    return {"working_dir": str(Path(aura_core.__file__).parents[1]), "env_vars": env_vars}


async def _follow(
    client: JobSubmissionClient, job_id: str, on_progress: OnProgress | None
) -> LineLog:
    output = LineLog(None, on_progress)
    async for text in client.tail_job_logs(job_id):
        # Prefect's client, which shows progress, refuses to work inside another event loop.
        await asyncio.to_thread(output.feed, text.encode())
    output.close()
    while client.get_job_status(job_id) in _LIVE:
        await asyncio.sleep(1)
    return output
