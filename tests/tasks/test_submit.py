"""What is told to a cluster's job server, which tells it to everybody."""

import logging

import pytest

from tasks import submit


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


def test_credentials_are_sent_on_demand_and_with_a_warning(monkeypatch, caplog):
    monkeypatch.setenv(submit.SEND_CREDENTIALS, "1")
    with caplog.at_level(logging.WARNING, logger="aura"):
        sent = submit._runtime_env()["env_vars"]
    assert set(submit.CREDENTIALS) <= set(sent)
    assert "AURA_UP" not in sent
    assert "can read them" in caplog.text
    assert "a-planted-secret" not in caplog.text
