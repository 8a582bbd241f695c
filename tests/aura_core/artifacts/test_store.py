import subprocess
import sys
from pathlib import Path

import pytest

from aura_core.artifacts import store
from aura_core.errors import AuraError


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
