"""`aura cache` and `aura bench` as a user meets them, on the smoke run's artifacts."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.aura_command import run_aura

aura = partial(run_aura, timeout_s=300)
UNFINISHED = "0" * 12


@pytest.fixture
def root(smoke_root, tmp_path):
    """A root with the smoke run's cache and an unfinished one."""
    (folder,) = (Path(smoke_root) / "teacher_cache").iterdir()
    shutil.copytree(folder, tmp_path / "teacher_cache" / folder.name)
    unfinished = tmp_path / "teacher_cache" / UNFINISHED
    unfinished.mkdir()
    (unfinished / "spec.json").write_text("{}")
    return tmp_path


def test_ls_tells_finished_from_unfinished(root):
    first, second = json.loads(aura("cache", "ls", "--root", root, "--json").stdout)
    assert (first["name"], first["finished"]) == (UNFINISHED, False)
    assert (second["finished"], second["utterances"]) == (True, 24)
    table = aura("cache", "ls", "--root", root).stdout
    assert "0 of ? shards" in table
    assert "finished" in table


def test_stats_are_json_with_hours_and_errors(root):
    (found,) = json.loads(aura("cache", "stats", "--root", root).stdout)
    assert found["utterances"] == 24
    assert 0 < found["audio_hours"] < 0.1
    assert set(found["storage_error"]) == {"1", "2", "3", "4"}


def test_verify_names_what_is_bad_and_a_repair_clears_it_away(root):
    sound = aura("cache", "verify", "--root", root)
    assert (sound.returncode, sound.stdout.count("sound")) == (0, 1)
    tar = next(root.glob("teacher_cache/*/shards/*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    bad = aura("cache", "verify", tar.parents[1].name[:4], "--root", root, "--repair")
    assert bad.returncode == 1
    assert f"{tar}: damaged" in bad.stdout
    assert not tar.exists()
    again = aura("cache", "verify", "--root", root)
    assert (again.returncode, "no finished teacher cache any" in again.stderr) == (2, True)


def test_gc_lists_and_deletes_only_when_told_to_and_nothing_young(root):
    spec = root / "teacher_cache" / UNFINISHED / "spec.json"
    young = aura("cache", "gc", "--root", root, "--yes").stdout
    assert f"{spec}  2  of an unfinished cache, in use perhaps" in young
    assert spec.exists()
    os.utime(spec, (0, 0))
    assert "2 bytes could be deleted" in aura("cache", "gc", "--root", root).stdout
    assert spec.exists()
    assert "2 bytes deleted" in aura("cache", "gc", "--root", root, "--yes").stdout
    assert not spec.exists()
    assert aura("cache", "verify", "--root", root).returncode == 0


def test_the_teacher_benchmark_runs_on_the_runs_own_clips(smoke_root):
    result = aura(
        "bench", "teacher", "--recipe", "smoke", "--root", smoke_root, "--clips", 8, "--rounds", 1,
        "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["clips"] == 8
    for name in ("naive", "limit"):
        expected = found["ours"] / found[name]
        assert found[f"ratio_vs_{name}"] == pytest.approx(expected, rel=0.05)


def test_the_cache_benchmark_compares_settings_and_the_default(smoke_root):
    result = aura(
        "bench", "cache", "--recipe", "smoke", "--root", smoke_root, "--steps", 1, "--clips", 8,
        "--seeds", 2,         "--settings", "exact", "--set", "teacher_cache.dtype=int8",
        "--set", "distil.phases.0.ctc=0.3", "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert set(found) == {"exact", "default", "parity"}
    assert found["default"]["bytes_ratio"] < found["exact"]["bytes_ratio"] < 1
    assert found["exact"]["storage_error"]["4"]["mean_cosine"] == pytest.approx(1, abs=1e-6)
    assert found["parity"]["30s"]["4"] == pytest.approx(1, abs=1e-3)


def test_the_training_benchmark_times_four_loops(smoke_root):
    result = aura(
        "bench", "train", "--recipe", "smoke", "--root", smoke_root, "--steps", 1, "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for name in ("user_loop", "limit"):
        expected = found["cached"] / found[name]
        assert found[f"ratio_vs_{name}"] == pytest.approx(expected, rel=0.05)
    assert 0 <= found["data_wait_share"] < 1


def test_the_scale_benchmark_measures_two_sizes():
    found = json.loads(aura("bench", "scale", "--utterances", 2000, "--json").stdout)
    assert found["2000"]["shards"] == 8
    assert found["200"].keys() == found["2000"].keys()


def test_an_unknown_setting_lists_the_known_ones(smoke_root):
    arguments = ("--recipe", "smoke", "--root", smoke_root, "--settings", "fp8")
    result = aura("bench", "cache", *arguments)
    assert result.returncode == 2
    assert "no setting 'fp8': choose one of exact" in result.stderr
