import json
import pickle
import shutil
import subprocess
import sys

import pytest
import torch

from aura_core.artifacts import store
from aura_core.cache.encode import encode
from aura_core.cache.index import open_cache
from aura_core.errors import AuraError


@pytest.fixture
def copied(cache_folder, tmp_path):
    folder = tmp_path / "cache"
    shutil.copytree(cache_folder, folder)
    return folder


def check_samples(cache, teacher, rows, config):
    """Compare the cache with what is encoded afresh, one utterance at a time."""
    assert len(cache) == len(cache.entries) == 8
    by_id = {row["id"]: row for row in rows}
    for i, entry in enumerate(cache.entries):
        sample = cache.read(i)
        row = by_id[entry.id]
        (expected,) = encode(teacher, [row], config)
        assert (sample.key, sample.text) == (entry.key, row["text"])
        assert (sample.instruction, sample.response) == (row["instruction"], row["response"])
        assert torch.equal(sample.log_mel, expected.tensors["log_mel"])
        assert list(sample.layers) == [1, 2, 3, 4]
        for layer, states in sample.layers.items():
            torch.testing.assert_close(states, expected.stored(layer), atol=5e-3, rtol=2e-3)


def test_it_reads_what_was_encoded(cache_folder, teacher, rows, config):
    cache = open_cache(str(cache_folder))
    assert (cache.layers, cache.width, cache.n_mels) == ((1, 2, 3, 4), 384, 80)
    check_samples(cache, teacher, rows, config)


def test_it_reads_from_s3(cache_folder, s3_folder, teacher, rows, config):
    uri = f"{s3_folder}/teacher_cache/abc"
    store.upload_folder(cache_folder, uri)
    cache = open_cache(uri)
    check_samples(cache, teacher, rows, config)
    assert cache.layer_stats()[4][1].shape == (384,)


def test_s3_makes_the_same_shards(make_cache, cache_folder, s3_folder):
    uri = make_cache(f"{s3_folder}/teacher_cache/def")
    for path in (cache_folder / "shards").iterdir():
        assert store.read_bytes(f"{uri}/shards/{path.name}") == path.read_bytes()


def test_it_travels_to_other_processes(cache_folder):
    cache = open_cache(str(cache_folder))
    cache.read(0)
    assert torch.equal(pickle.loads(pickle.dumps(cache)).read(1).log_mel, cache.read(1).log_mel)


def test_reading_needs_no_teacher(cache_folder):
    code = (
        "import sys; from aura_core.cache.index import open_cache; c = open_cache(sys.argv[1]);"
        "c.read(0); c.stem(); c.layer_stats();"
        "print({'whisper', 'transformers'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(cache_folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_nothing_is_pickled(cache_folder, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("something was unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    cache = open_cache(str(cache_folder))
    assert [cache.read(i).key for i in range(len(cache))] == [e.key for e in cache.entries]
    suffixes = {path.suffix for path in cache_folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".tar", ".safetensors"}


def test_a_flipped_byte_is_refused_by_shard_and_key(copied):
    record = json.loads((copied / "shards" / "00001.json").read_text())
    member = record["members"][2]
    path = copied / "shards" / "00001.tar"
    data = bytearray(path.read_bytes())
    data[member["offset"] + member["size_bytes"] // 2] ^= 1
    path.write_bytes(data)
    cache = open_cache(str(copied))
    damaged = next(i for i, e in enumerate(cache.entries) if e.key == member["entry"]["key"])
    with pytest.raises(AuraError, match=rf"shard 00001, key {member['entry']['key']}: .*damaged"):
        cache.read(damaged)
    for i in set(range(len(cache))) - {damaged}:
        cache.read(i)


def test_a_truncated_shard_is_refused_at_open(copied):
    path = copied / "shards" / "00001.tar"
    size_bytes = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size_bytes - 1)
    with pytest.raises(AuraError, match=rf"shard 00001: .*{size_bytes - 1} bytes, expected"):
        open_cache(str(copied))


def test_a_missing_shard_is_refused_at_open(copied):
    (copied / "shards" / "00002.tar").unlink()
    with pytest.raises(AuraError, match=r"shard 00002: shards/00002\.tar is missing"):
        open_cache(str(copied))


def read_all(uri):
    cache = open_cache(uri)
    return cache.stem(), cache.layer_stats()


@pytest.mark.parametrize(
    "name", ["shards/00000.json", "layer_stats.safetensors", "teacher_stem.safetensors"]
)
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_small_file_is_refused_by_name(copied, name, damage):
    path = copied / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    if damage == "remove":
        path.unlink()
    with pytest.raises(AuraError, match=f"{name} is missing or damaged"):
        read_all(str(copied))


def test_a_cache_without_manifest_is_not_opened(copied):
    (copied / "manifest.json").unlink()
    with pytest.raises(AuraError, match=r"has no manifest\.json"):
        open_cache(str(copied))


def test_another_stages_artifact_is_not_opened(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "files": []}))
    with pytest.raises(AuraError, match="is not a teacher cache"):
        open_cache(str(copied))
