"""What a cache looks like after the writer, the disk or the object store has failed."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aura_core.artifacts import store
from aura_core.config.run import TeacherCacheConfig
from aura_core.ingest.utterances import decode_audio, encode_audio, write_table
from aura_core.teacher_cache import build
from aura_core.teacher_cache.index import open_cache
from aura_core.teacher_cache.inventory import verify_cache

# Steps of making two shards; counted by `test_the_steps_are_all_covered`.
LOCAL_STEPS = 61
S3_STEPS = 25


class Builder:
    """A process that makes caches, each in a fork of its own that may be killed."""

    def __init__(self, ingest_uri: str) -> None:
        script = str(Path(__file__).with_name("forked_builder.py"))
        self._process = subprocess.Popen(
            [sys.executable, script, ingest_uri],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def make(self, uri: str, kill_at: int | None = None) -> dict:
        self._process.stdin.write(json.dumps({"uri": uri, "kill_at": kill_at}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="module")
def short_ingest_uri(rows, tmp_path_factory) -> str:
    """Clips of a third of a second: what is tested here is publishing, not hearing."""
    uri = str(tmp_path_factory.mktemp("short"))
    short = []
    for row in rows[:8]:
        flac, digest = encode_audio(decode_audio(row["audio"]["bytes"])[:5000])
        audio = {"bytes": flac, "path": row["audio"]["path"]}
        short.append({**row, "audio": audio, "digest": digest, "duration_s": 5000 / 16_000})
    write_table(uri, short)
    return uri


@pytest.fixture(scope="module")
def builder(short_ingest_uri, s3_bucket):
    started = Builder(short_ingest_uri)
    yield started
    started.close()


@pytest.fixture(scope="module")
def whole(builder, tmp_path_factory) -> dict[str, bytes]:
    """Every file of a cache whose making nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert builder.make(str(folder))["status"] == 0
    return contents(str(folder))


def contents(uri: str) -> dict[str, bytes]:
    """Published files; the manifest names its time and is left out."""
    return {
        path: store.read_bytes(store.join(uri, path))
        for path in store.list_tree(uri)
        if store.TEMPORARY not in path and path != "manifest.json"
    }


def check_killed_and_made_again(builder, whole, uri, step):
    assert os.WTERMSIG(builder.make(uri, kill_at=step)["status"]) == signal.SIGKILL
    # Nothing half-written was ever published.
    assert contents(uri).items() <= whole.items()
    assert builder.make(uri)["status"] == 0
    assert contents(uri) == whole
    assert all(problem is None for _, _, problem in verify_cache(uri))


@pytest.mark.parametrize("step", range(LOCAL_STEPS))
def test_a_writer_killed_at_any_step_loses_nothing(builder, whole, tmp_path, step):
    check_killed_and_made_again(builder, whole, str(tmp_path), step)


@pytest.mark.parametrize("step", range(S3_STEPS))
def test_a_writer_to_s3_killed_at_any_step_loses_nothing(builder, whole, s3_folder, step):
    check_killed_and_made_again(builder, whole, s3_folder, step)


def test_the_steps_are_all_covered(builder, tmp_path, s3_folder):
    steps = [builder.make(uri)["steps"] for uri in (str(tmp_path), s3_folder)]
    assert steps == [LOCAL_STEPS, S3_STEPS]


@pytest.mark.parametrize("missing", ["record", "tar"])
def test_a_record_without_tar_and_a_tar_without_record_are_made_again(
    builder, whole, tmp_path, missing
):
    builder.make(str(tmp_path))
    (tmp_path / "manifest.json").unlink()
    suffix = ".json" if missing == "record" else ".tar"
    next(path for path in (tmp_path / "shards").iterdir() if path.suffix == suffix).unlink()
    assert builder.make(str(tmp_path))["status"] == 0
    assert contents(str(tmp_path)) == whole


@pytest.mark.parametrize("where", ["local", "s3"])
def test_two_runs_at_once_end_as_one(short_ingest_uri, whole, tmp_path, s3_folder, where):
    uri = str(tmp_path) if where == "local" else s3_folder
    both = [Builder(short_ingest_uri) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda builder: builder.make(uri)["status"], both))
    for each in both:
        each.close()
    assert ends == [0, 0]
    assert contents(uri) == whole
    open_cache(uri)


@pytest.fixture
def small_disk(tools, tmp_path):
    """A disk of half a megabyte."""
    with tools.small_disk(tmp_path / "disk", "512k") as folder:
        yield folder


def test_a_full_disk_leaves_nothing_half_written(small_disk, teacher, ingest_uri):
    config = TeacherCacheConfig(shard_utterances=2, dtype="float32")
    with pytest.raises(OSError, match="No space left"):
        build.make_cache(teacher, ingest_uri, str(small_disk), config)
    assert not list(small_disk.rglob(f"{store.TEMPORARY}*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    before = contents(str(small_disk))
    build.make_cache(teacher, ingest_uri, str(small_disk), config)
    assert before.items() <= contents(str(small_disk)).items()
