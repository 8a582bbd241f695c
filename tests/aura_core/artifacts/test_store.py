import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from threading import Event

import pytest
import s3fs

from aura_core.artifacts import store
from aura_core.artifacts.store import read_ahead, require_reachable, require_writable
from aura_core.errors import AuraError


def test_results_come_in_order_however_long_each_takes():
    slow = Event()

    def read(item):
        if item == 0:
            slow.wait(10)
        else:
            slow.set()
        return item * 2

    assert list(read_ahead(range(5), read, threads=2, depth=3)) == [0, 2, 4, 6, 8]


def test_it_runs_no_further_ahead_than_asked():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = read_ahead(items(), lambda item: item, threads=1, depth=2)
    assert taken == []
    assert next(results) == 0
    assert taken == [0, 1, 2]
    results.close()
    assert taken == [0, 1, 2]


def test_an_error_comes_where_its_result_would_have():
    def read(item):
        if item == 2:
            raise OSError("gone")
        return item

    results = read_ahead(range(5), read, threads=2, depth=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_what_is_written_can_be_read(root):
    uri = store.join(root, "a", "b.txt")
    assert not store.exists(uri)
    store.write_text(uri, "grüße")
    assert store.exists(uri)
    assert store.read_text(uri) == "grüße"
    assert store.size_bytes(uri) == len("grüße".encode())


def test_a_second_write_replaces_the_first(root):
    uri = store.join(root, "x")
    store.write_text(uri, "a long first version")
    store.write_text(uri, "short")
    assert store.read_text(uri) == "short"


def test_reading_what_is_not_there(root):
    with pytest.raises(FileNotFoundError):
        store.read_bytes(store.join(root, "nothing"))
    assert store.list_names(store.join(root, "nothing")) == []


def test_a_failed_write_publishes_nothing(root):
    uri = store.join(root, "a", "b.bin")

    def write_half() -> None:
        with store.staged(uri) as path:
            path.write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert not store.exists(uri)
    assert store.list_names(store.join(root, "a")) == []


def test_listing_shows_files_and_folders_and_follows_changes(root):
    store.write_text(store.join(root, "f", "one"), "1")
    assert store.list_names(store.join(root, "f")) == ["one"]
    store.write_text(store.join(root, "f", "two", "x"), "2")
    assert store.list_names(store.join(root, "f")) == ["one", "two"]


def test_what_a_killed_writer_has_left_is_not_listed(tmp_path):
    writer = (
        "import os; from aura_core.artifacts import store\n"
        f"with store.staged({str(tmp_path / 'parts' / 'one')!r}) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", writer], check=False)
    assert list((tmp_path / "parts").iterdir()), "there is something left"
    assert store.list_names(str(tmp_path / "parts")) == []


def test_folders_go_up_and_come_down_whole(root, tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deep" / "b.txt").write_text("b")
    uri = store.join(root, "published")
    store.upload_folder(source, uri)
    with store.local_folder(uri) as folder:
        assert (folder / "a.txt").read_text() == "a"
        assert (folder / "deep" / "b.txt").read_text() == "b"
    with store.local_file(store.join(uri, "deep", "b.txt")) as path:
        assert path.read_text() == "b"


def test_join_and_is_remote():
    assert store.join("s3://b/x/", "a", "b") == "s3://b/x/a/b"
    assert store.join("/r", "a") == "/r/a"
    assert store.is_remote("s3://b/x")
    assert not store.is_remote("/r")
    assert not store.is_remote("file:///r")


def test_a_file_uri_is_local(tmp_path):
    store.write_text(f"file://{tmp_path}/x", "1")
    assert Path(tmp_path, "x").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(data)
    assert store.file_xxh3(tmp_path / "file") == store.xxh3(data)


def test_what_is_no_text_and_what_is_no_storage_is_told(tmp_path):
    uri = str(tmp_path / "x")
    store.write_bytes(uri, b"\xff")
    with pytest.raises(AuraError, match="x is not UTF-8 text"):
        store.read_text(uri)
    with pytest.raises(AuraError, match="gopher://lab/x: Protocol not known"):
        store.exists("gopher://lab/x")


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
