"""Run a stage's driver as a Ray job on a cluster, and follow it to its end."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import requests
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

import aura_core
from aura_core.errors import AuraError
from aura_core.stages import StageSpec
from tasks.stage_driver import (
    HIDE_GPUS,
    PASSING_EXIT_CODE,
    LineLog,
    OnProgress,
    StageCrashError,
    StageLostError,
    driver_command,
    raise_for_exit,
)

log = logging.getLogger("aura")

_LIVE = (JobStatus.PENDING, JobStatus.RUNNING)
# What the client raises when the job server is away, or is a new one that does not know the job.
_LOST = (aiohttp.ClientError, requests.RequestException, ConnectionError, RuntimeError)
_CLUSTER_S = 300.0
_AGENT_S = 60.0
_POLL_S = 1.0
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
    "TRACKIO_SPACE_ID",
    "WANDB_BASE_URL",
    "WANDB_MODE",
)
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HF_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "TRACKIO_WRITE_TOKEN",
    "WANDB_API_KEY",
)
SEND_CREDENTIALS = "AURA_SEND_CREDENTIALS"


def run_job(address: str, spec: StageSpec, on_progress: OnProgress | None) -> None:
    """Submit the driver to the job server at `address`, or adopt its live job, and wait.

    A job server that goes away meanwhile is waited for: behind a tunnel the job goes on, and
    with a cluster that was started again the job is lost.

    Raises:
        AuraError: the cluster cannot be reached or takes no job, or a mistake in the driver's
            own words.
        StageLostError: the job was lost, or failed by what may pass.
        StageCrashError: it failed otherwise or was stopped.
    """
    client = connect(address)
    job_id = adopt_or_submit(client, spec)
    try:
        info, output = _follow_to_end(client, job_id, on_progress)
    except StageLostError:
        raise
    except BaseException:
        _stop(client, job_id)
        raise
    if info.status == JobStatus.STOPPED:
        raise StageCrashError(f"job {job_id} was stopped")
    # A job has none where its driver could not be watched to its end.
    exit_code = PASSING_EXIT_CODE if info.driver_exit_code is None else info.driver_exit_code
    raise_for_exit(spec, 0 if info.status == JobStatus.SUCCEEDED else exit_code, output.error_line)


def connect(address: str) -> JobSubmissionClient:
    """Raise AuraError if no Ray job server is there."""
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise AuraError(f"no Ray job server at {address}: {error}") from error


def adopt_or_submit(client: JobSubmissionClient, spec: StageSpec) -> str:
    """Return the id of the stage's live job; submit the next attempt if there is none.

    Raises:
        AuraError: the cluster takes no job.
    """
    deadline_s = time.monotonic() + _AGENT_S
    while True:
        try:
            return _adopt_or_submit(client, spec)
        except RuntimeError as error:
            # Another run may have submitted the same job just now, and the job server of a new
            # cluster answers before anything that could start a job is there.
            if time.monotonic() > deadline_s or not _passes(error):
                raise AuraError(
                    f"the cluster at {client.get_address()} takes no job: {error}"
                ) from error
        time.sleep(_POLL_S)


def _passes(error: RuntimeError) -> bool:
    return any(text in str(error) for text in ("already exists", "head node agent", "No available"))


def _adopt_or_submit(client: JobSubmissionClient, spec: StageSpec) -> str:
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
    env_vars |= HIDE_GPUS
    # Ray leaves out what .gitignore names: the virtual environment and the runs.
    return {"working_dir": str(Path(aura_core.__file__).parents[1]), "env_vars": env_vars}


def _follow_to_end(
    client: JobSubmissionClient, job_id: str, on_progress: OnProgress | None
) -> tuple[JobDetails, LineLog]:
    while True:
        try:
            output = asyncio.run(_follow(client, job_id, on_progress))
            return client.get_job_info(job_id), output
        except _LOST as error:
            log.warning("no word of job %s (%s): waiting for its cluster", job_id, error)
            if not _comes_back(client, job_id):
                raise StageLostError(f"job {job_id} was lost with its cluster") from error
            log.info("following job %s again", job_id)


def _comes_back(client: JobSubmissionClient, job_id: str) -> bool:
    """Whether a cluster that answers within some minutes still knows the job."""
    deadline_s = time.monotonic() + _CLUSTER_S
    while time.monotonic() < deadline_s:
        try:
            return job_id in {job.submission_id for job in client.list_jobs()}
        except _LOST:
            time.sleep(_POLL_S)
    return False


def _stop(client: JobSubmissionClient, job_id: str) -> None:
    try:
        client.stop_job(job_id)
    except _LOST as error:
        log.warning("job %s could not be stopped: %s", job_id, error)


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
