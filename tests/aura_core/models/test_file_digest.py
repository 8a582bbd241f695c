import hashlib

import pytest

from aura_core.models.file_digest import file_sha256, folder_sha256


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path / "cache"))


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert file_sha256(path) == expected
    monkeypatch.delattr(hashlib, "file_digest")
    assert file_sha256(path) == expected


def test_a_changed_file_of_the_same_size_is_read_again(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    file_sha256(path)
    path.write_bytes(b"Weights")
    assert file_sha256(path) == hashlib.sha256(b"Weights").hexdigest()


def test_a_damaged_note_is_ignored(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    first = file_sha256(path)
    for note in (tmp_path / "cache" / "digests").iterdir():
        note.write_text("{")
    assert file_sha256(path) == first


def test_a_folder_digest_sees_names_and_contents(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "sub" / "b").write_text("2")
    seen = {folder_sha256(folder)}
    (folder / "a").rename(folder / "c")
    seen.add(folder_sha256(folder))
    (folder / "sub" / "b").write_text("3")
    seen.add(folder_sha256(folder))
    assert len(seen) == 3
