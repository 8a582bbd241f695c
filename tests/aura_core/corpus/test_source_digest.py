import pytest
import s3fs

from aura_core.config import IngestConfig
from aura_core.corpus import source_digest
from aura_core.corpus.source import read_items, source_digests
from aura_core.corpus.source_digest import MISSING, content_digests


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_a_digest_holds_size_and_content(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "b").write_bytes(b"hullo")
    a, b, gone = (str(tmp_path / name) for name in ("a", "b", "gone"))
    digests = content_digests([a, b, gone])
    assert digests[a].startswith("5 ")
    assert digests[a] != digests[b]
    assert digests[gone] == MISSING


def test_unchanged_files_are_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"hello")
    uris = [str(tmp_path / "a")]
    first = content_digests(uris)

    def fail(uri: str) -> str:
        raise AssertionError(f"{uri} is read again")

    monkeypatch.setattr(source_digest, "_file_digest", fail)
    assert content_digests(uris) == first
    (tmp_path / "a").write_bytes(b"hello!")
    with pytest.raises(AssertionError, match="read again"):
        content_digests(uris)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AURA_CACHE", f"{tmp_path}/file/cache")
    (tmp_path / "a").write_bytes(b"hello")
    assert content_digests([str(tmp_path / "a")])


def test_a_manifest_in_a_bucket_is_pinned_by_its_objects(s3_folder, tmp_path):
    fs = s3fs.S3FileSystem()
    root = s3_folder.removeprefix("s3://")
    fs.pipe_file(f"{root}/wavs/a.wav", b"one")
    line = '{"audio_filepath": "wavs/a.wav", "text": "x"}\n'
    fs.pipe_file(f"{root}/m.jsonl", line.encode())
    config = IngestConfig(manifest=f"{s3_folder}/m.jsonl")
    (item,) = read_items(config)
    assert item.audio_uri == f"{s3_folder}/wavs/a.wav"
    before = source_digests(config)
    assert source_digests(config) == before
    fs.pipe_file(f"{root}/wavs/a.wav", b"two")
    changed = source_digests(config)
    fs.rm(f"{root}/wavs/a.wav")
    gone = source_digests(config)
    assert len({each["manifest"] for each in (before, changed, gone)}) == 3


def test_a_folder_in_a_bucket_is_recognised(s3_folder):
    fs = s3fs.S3FileSystem()
    root = s3_folder.removeprefix("s3://")
    fs.pipe_file(f"{root}/set/train/metadata.csv", b"file_name,text\na.wav,hello\n")
    fs.pipe_file(f"{root}/set/train/a.wav", b"RIFF")
    (item,) = read_items(IngestConfig(manifest=f"{s3_folder}/set"))
    assert (item.audio_uri, item.text, item.split) == (
        f"{s3_folder}/set/train/a.wav",
        "hello",
        "train",
    )
