import shutil

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import read_manifest
from aura_core.errors import AuraError
from aura_core.teacher_cache.index import open_cache
from aura_core.teacher_cache.inventory import (
    Problem,
    list_caches,
    list_garbage,
    repair_cache,
    statistics,
    total_bytes,
    verify_cache,
)

from .conftest import tar_paths


@pytest.fixture
def root(cache_folder, tmp_path):
    """A finished cache and one of which a shard is missing."""
    for name in ("aaa", "bbb"):
        shutil.copytree(cache_folder, tmp_path / "teacher_cache" / name)
    unfinished = tmp_path / "teacher_cache" / "bbb"
    (unfinished / "manifest.json").unlink()
    (unfinished / "shards" / "000001.json").unlink()
    return tmp_path


def test_finished_and_unfinished_caches_are_told_apart(root):
    first, second = list_caches(str(root))
    assert (first.name, first.shards_done, first.shards_planned) == ("aaa", 3, 3)
    assert first.manifest is not None
    assert (second.name, second.shards_done, second.shards_planned) == ("bbb", 2, 3)
    assert second.manifest is None


def test_a_root_without_caches_has_none(tmp_path):
    assert list_caches(str(tmp_path)) == []


def test_statistics_are_those_of_the_manifest(cache_folder):
    manifest = read_manifest(str(cache_folder))
    found = statistics(str(cache_folder), manifest)
    assert found["utterances"] == 8
    assert found["audio_hours"] == pytest.approx(manifest.metrics["duration_s"] / 3600)
    assert found["bytes_per_audio_hour"] == pytest.approx(
        manifest.counts["size_bytes"] / found["audio_hours"]
    )


def test_garbage_is_what_no_manifest_refers_to(root):
    finished = root / "teacher_cache" / "aaa"
    orphan = finished / "shards" / "000001-0123456789ab.tar"
    orphan.write_bytes(b"of an earlier run")
    half = finished / "shards" / ".tmp-abc" / "000002.tar"
    half.parent.mkdir()
    half.write_bytes(b"half")
    unfinished = {str(p) for p in (root / "teacher_cache" / "bbb").rglob("*") if p.is_file()}
    found = {item.uri: item for item in list_garbage(str(root))}
    assert set(found) == unfinished | {str(orphan), str(half)}
    assert found[str(orphan)].size_bytes == len(b"of an earlier run")
    assert abs(found[str(orphan)].modified_s - orphan.stat().st_mtime) < 1


def problems(folder):
    return [problem for _, _, problem in verify_cache(str(folder)) if problem]


def test_a_sound_cache_is_read_whole_and_has_no_problem(cache_folder):
    checked = list(verify_cache(str(cache_folder)))
    assert {path for path, _, _ in checked} >= {*tar_paths(cache_folder), "index.parquet"}
    assert [problem for _, _, problem in checked if problem] == []
    assert sum(size for _, size, _ in checked) == total_bytes(str(cache_folder))


def test_every_kind_of_damage_is_named(copied):
    first, second, third = tar_paths(copied)
    data = bytearray((copied / first).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / first).write_bytes(data)
    size = (copied / second).stat().st_size
    (copied / second).write_bytes((copied / second).read_bytes()[:-1])
    (copied / third).unlink()
    assert problems(copied) == [
        Problem(first, "damaged"),
        Problem(second, f"{size - 1} bytes, expected {size}"),
        Problem(third, "missing"),
    ]


def test_a_repair_makes_only_the_damaged_files_again(copied, make_cache):
    first, *others = tar_paths(copied)
    whole = (copied / first).read_bytes()
    (copied / first).write_bytes(whole[:-1] + b"x")
    before = {path: (copied / path).stat().st_mtime_ns for path in others}
    repair_cache(str(copied), problems(copied))
    with pytest.raises(AuraError, match=r"no manifest\.json"):
        open_cache(str(copied))
    make_cache(str(copied))
    assert (copied / first).read_bytes() == whole
    assert {path: (copied / path).stat().st_mtime_ns for path in others} == before
    assert problems(copied) == []


def test_it_works_on_s3(cache_folder, s3_folder):
    store.upload_folder(cache_folder, s3_folder)
    first, second, _ = tar_paths(cache_folder)
    store.write_bytes(f"{s3_folder}/{first}", b"short")
    store.remove(f"{s3_folder}/{second}")
    assert [problem.path for problem in problems(s3_folder)] == [first, second]


def test_an_unfinished_cache_is_refused(copied):
    (copied / "manifest.json").unlink()
    with pytest.raises(AuraError, match=r"no manifest\.json"):
        problems(copied)
