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
# Where the storage and the models are. A cluster's nodes have credentials of their own:
# whoever reaches the job server can read the environment of every job.
SETTINGS = (
    "AURA_CACHE",
    "AURA_LOG_FORMAT",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_OFFLINE",
)
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN")
SEND_CREDENTIALS = "AURA_SEND_CREDENTIALS"


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
    """The code of this checkout, and the settings that reach the storage and the models.

    Credentials only with $AURA_SEND_CREDENTIALS=1: they can be read from the job server then.
    """
    names = SETTINGS
    if os.environ.get(SEND_CREDENTIALS) == "1":
        log.warning("%s=1: whoever reaches the job server can read them", SEND_CREDENTIALS)
        names += CREDENTIALS
    env_vars = {name: os.environ[name] for name in names if name in os.environ}
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
