import shutil

import pytest

from aura_core.artifacts.manifest import read_manifest
from aura_core.cache.inventory import list_caches, list_garbage, statistics


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
