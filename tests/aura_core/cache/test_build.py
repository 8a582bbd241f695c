import shutil

import pytest
import torch
from safetensors.torch import load_file

from aura_core.cache import build
from aura_core.cache.index import open_cache
from aura_core.cache.plan import Plan


@pytest.fixture
def copied(cache_folder, tmp_path):
    folder = tmp_path / "cache"
    shutil.copytree(cache_folder, folder)
    return folder


def rebuild(folder, teacher, ingest_uri, config):
    plan = Plan.model_validate_json((folder / "plan.json").read_text())
    for shard in plan.shards:
        build.build_shard(teacher, ingest_uri, str(folder), shard, config)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


def test_a_cache_made_again_is_the_same_byte_for_byte(cache_folder, make_cache, tmp_path):
    make_cache(str(tmp_path))
    assert contents(tmp_path) == contents(cache_folder)
    for name in ("plan.json", "layer_stats.safetensors", "teacher_stem.safetensors"):
        assert (tmp_path / name).read_bytes() == (cache_folder / name).read_bytes()


def test_finished_shards_are_kept(copied, teacher, ingest_uri, config):
    before = {path: path.stat().st_mtime_ns for path in (copied / "shards").iterdir()}
    rebuild(copied, teacher, ingest_uri, config)
    assert {path: path.stat().st_mtime_ns for path in (copied / "shards").iterdir()} == before


@pytest.mark.parametrize("name", ["00001.json", "00001.tar", "00001.moments.safetensors"])
@pytest.mark.parametrize("damage", ["remove", "truncate", "flip"])
def test_a_damaged_shard_is_made_again(copied, teacher, ingest_uri, config, name, damage):
    expected = contents(copied)
    path = copied / "shards" / name
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    rebuild(copied, teacher, ingest_uri, config)
    if (name, damage) != ("00001.json", "flip"):
        assert contents(copied) == expected


def test_layer_stats_are_those_of_all_stored_frames(cache_folder):
    cache = open_cache(str(cache_folder))
    stats = load_file(cache_folder / "layer_stats.safetensors")
    for layer in cache.layers:
        frames = torch.cat([cache.read(i).layers[layer].double() for i in range(len(cache))])
        torch.testing.assert_close(stats[f"mean_{layer:02d}"], frames.mean(dim=0).float())
        torch.testing.assert_close(
            stats[f"std_{layer:02d}"], frames.std(dim=0, correction=0).float()
        )


def test_the_stem_is_the_teachers(cache_folder, teacher):
    stem = load_file(cache_folder / "teacher_stem.safetensors")
    encoder = teacher.encoder.state_dict()
    assert sorted(stem) == sorted(build.STEM_TENSORS)
    assert all(torch.equal(stem[name], encoder[name]) for name in stem)
