"""What is told to a cluster's job server, and what is done when it is away."""

import logging
from types import SimpleNamespace

import pytest
import requests
from ray.job_submission import JobStatus

from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import plan
from tasks import submit
from tasks.stage_driver import StageLostError


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    for name in (*submit.CREDENTIALS, "AURA_UP", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.setenv(name, "a-planted-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3:9000")
    monkeypatch.delenv(submit.SEND_CREDENTIALS, raising=False)


def test_a_job_is_told_where_the_storage_is_and_no_credential():
    environment = submit._runtime_env()
    assert environment["env_vars"]["AWS_ENDPOINT_URL_S3"] == "http://s3:9000"
    assert "a-planted-secret" not in str(environment)


def test_a_worker_of_a_job_sees_no_gpu_that_it_is_not_given():
    assert submit._runtime_env()["env_vars"]["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "1"


def test_credentials_are_sent_on_demand_and_with_a_warning(monkeypatch, caplog):
    monkeypatch.setenv(submit.SEND_CREDENTIALS, "1")
    with caplog.at_level(logging.WARNING, logger="aura"):
        sent = submit._runtime_env()["env_vars"]
    assert set(submit.CREDENTIALS) <= set(sent)
    assert "AURA_UP" not in sent
    assert "can read them" in caplog.text
    assert "a-planted-secret" not in caplog.text


class JobServer:
    """A client whose server answers as told: `jobs` knows {id: status}, `errors` come first."""

    def __init__(self, jobs=(), errors=()):
        self.jobs, self.errors, self.submitted = dict(jobs), list(errors), []

    def get_address(self):
        return "http://head:8265"

    def list_jobs(self):
        return [SimpleNamespace(submission_id=k, status=v) for k, v in self.jobs.items()]

    def submit_job(self, submission_id, **_options):
        if self.errors:
            raise self.errors.pop(0)
        self.submitted.append(submission_id)
        return submission_id

    async def tail_job_logs(self, job_id):
        if self.errors:
            raise self.errors.pop(0)
        yield "error: mend this\n"

    def get_job_status(self, job_id):
        return self.jobs[job_id]

    def get_job_info(self, job_id):
        return SimpleNamespace(status=self.jobs[job_id])


@pytest.fixture
def spec(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))["distil"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(submit, "_POLL_S", 0.01)


def test_a_live_job_is_adopted_and_an_ended_one_is_followed_by_the_next(spec):
    first, second = (f"aura-distil-{spec.fingerprint[:12]}-a{n}" for n in (1, 2))
    server = JobServer({first: JobStatus.RUNNING})
    assert submit.adopt_or_submit(server, spec) == first
    server.jobs[first] = JobStatus.FAILED
    assert submit.adopt_or_submit(server, spec) == second
    assert server.submitted == [second]


def test_a_new_clusters_job_server_is_given_time_and_a_mistake_is_not(spec):
    late = RuntimeError("No available agent to submit job, please try again later.")
    server = JobServer(errors=[late, late])
    submit.adopt_or_submit(server, spec)
    assert len(server.submitted) == 1
    with pytest.raises(AuraError, match=r"http://head:8265 takes no job: 403"):
        submit.adopt_or_submit(JobServer(errors=[RuntimeError("403")]), spec)


@pytest.mark.parametrize("error", [requests.ConnectionError("away"), RuntimeError("closed: 1006")])
def test_a_job_is_followed_again_unless_it_was_lost(error):
    info, output = submit._follow_to_end(
        JobServer({"a1": JobStatus.SUCCEEDED}, [error, error]), "a1", None
    )
    assert (info.status, output.error_line) == (JobStatus.SUCCEEDED, "mend this")
    with pytest.raises(StageLostError, match="job a1 was lost with its cluster"):
        submit._follow_to_end(JobServer(errors=[error]), "a1", None)
