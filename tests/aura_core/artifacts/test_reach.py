"""An object store that does not answer is told at once, in one line."""

import os
import socket
import urllib.request

import pytest
import s3fs

from aura_core.artifacts import store
from aura_core.artifacts.reach import require_reachable, require_writable
from aura_core.errors import AuraError


@pytest.fixture
def new_clients():
    """s3fs keeps its clients, and with them their endpoint and credentials."""
    s3fs.S3FileSystem.clear_instance_cache()
    require_reachable.cache_clear()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def guarded_server(s3_bucket, new_clients):
    """The S3 server, looking at credentials for the time of a test."""
    let_through("0")
    yield
    let_through("Infinity")


def let_through(requests: str) -> None:
    """Have moto look at credentials after so many requests."""
    call = urllib.request.Request(
        f"{os.environ['AWS_ENDPOINT_URL_S3']}/moto-api/reset-auth",
        data=requests.encode(),
        headers={"Content-Type": "text/plain"},
    )
    urllib.request.urlopen(call).close()


def test_a_bucket_that_answers(s3_bucket, s3_folder):
    require_reachable(s3_bucket)
    require_reachable(s3_folder)
    store.write_text(store.join(s3_folder, "x"), "1")
    require_reachable(s3_folder)


def test_other_places_are_not_looked_at():
    for uri in ("/nowhere", "runs", "file:///nowhere", "gs://bucket/x"):
        require_reachable(uri)


def test_no_such_bucket(s3_bucket):
    with pytest.raises(AuraError, match="s3://none/x: there is no bucket 'none'"):
        require_reachable("s3://none/x")


def test_an_endpoint_where_nobody_listens(s3_bucket, monkeypatch, new_clients):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    with pytest.raises(AuraError, match=rf"out of reach: .*:{port}/.*; check AWS_ENDPOINT_URL_S3"):
        require_reachable("s3://lab/x")


def test_no_credentials(s3_bucket, monkeypatch, new_clients, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AuraError, match="Unable to locate credentials; check"):
        require_reachable("s3://lab/x")


def test_refused_credentials(guarded_server):
    with pytest.raises(AuraError, match=r"s3://lab/x may not be listed: .*; check the AWS cred"):
        require_reachable("s3://lab/x")


def test_a_place_that_can_be_written_to_is_left_empty(tmp_path):
    require_writable(str(tmp_path / "a" / "b"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "b"]


@pytest.mark.parametrize("folder", ["/proc/foo", "/dev/null/foo", "/dev/null"])
def test_a_place_that_cannot_be_written_to_is_named(folder):
    with pytest.raises(AuraError, match=folder):
        require_writable(folder)
