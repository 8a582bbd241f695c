import json
import pickle
import subprocess
import sys
import tarfile

import pytest
import torch

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.utterances import decode_audio, safe_key
from aura_core.models.whisper_encoder import log_mel
from aura_core.teacher_cache.index import open_cache

from .conftest import tar_paths


@pytest.fixture(scope="session")
def expected(encode_clips, rows, config):
    """What the cache should hold, by utterance id."""
    codec, samples = encode_clips(rows[:8], **config.model_dump(exclude={"runtime"}))
    return {
        sample.entry.id: {
            k: codec.decode(sample.tensors, k, sample.entry.num_frames) for k in (1, 4)
        }
        for sample in samples
    }


def check_samples(cache, expected, rows):
    assert len(cache) == 8
    by_id = {row["id"]: row for row in rows}
    assert sorted(cache.column("id")) == sorted(expected)
    for i, name in enumerate(cache.column("id")):
        sample = cache.read(i)
        row = by_id[name]
        assert (sample.key, sample.text) == (safe_key(name), row["text"])
        assert (sample.instruction, sample.response) == (row["instruction"], row["response"])
        mel = log_mel(decode_audio(row["audio"]["bytes"]), 80)
        assert torch.equal(sample.log_mel, mel.half())
        assert list(sample.layers) == [1, 2, 3, 4]
        for layer, states in expected[name].items():
            torch.testing.assert_close(sample.layers[layer], states, atol=2e-2, rtol=1e-2)


def test_it_reads_what_was_encoded(cache_folder, expected, rows):
    cache = open_cache(str(cache_folder))
    assert (cache.layers, cache.width, cache.n_mels) == ((1, 2, 3, 4), 384, 80)
    check_samples(cache, expected, rows)
    assert cache.durations_s.sum() == pytest.approx(sum(row["duration_s"] for row in rows[:8]))


def test_a_batch_is_read_in_the_order_asked_for(cache_folder):
    cache = open_cache(str(cache_folder))
    fetched = cache.fetch([5, 0, 5])
    keys = cache.column("key")
    assert [each.row["key"] for each in fetched] == [keys[5], keys[0], keys[5]]
    assert list(cache.decode(fetched[0], layers=(3,)).layers) == [3]


def test_it_reads_from_s3(cache_folder, s3_folder, expected, rows):
    uri = f"{s3_folder}/teacher_cache/abc"
    store.upload_folder(cache_folder, uri)
    check_samples(open_cache(uri), expected, rows)


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
        "import sys; from aura_core.teacher_cache.index import open_cache;"
        "c = open_cache(sys.argv[1]);"
        "c.read(0); c.stem();"
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
    assert [cache.read(i).key for i in range(len(cache))] == cache.column("key")
    suffixes = {path.suffix for path in cache_folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".tar", ".safetensors", ".parquet"}


def test_a_flipped_byte_anywhere_in_a_sample_is_refused_by_shard_and_key(copied):
    cache = open_cache(str(copied))
    path = copied / tar_paths(copied)[1]
    whole = path.read_bytes()
    rows = [row for row in cache._index.to_pylist() if row["shard"] == 1]
    for row in rows:
        start, stop = row["offset"], row["offset"] + row["size_bytes"]
        for position in (start, start + 8, (start + stop) // 2, stop - 1):
            data = bytearray(whole)
            data[position] ^= 1
            path.write_bytes(data)
            cache = open_cache(str(copied))
            damaged = cache.column("key").index(row["key"])
            with pytest.raises(AuraError, match=rf"{path.name}, key {row['key']}: .*damaged"):
                cache.read(damaged)
            for i in set(range(len(cache))) - {damaged}:
                cache.read(i)


def test_a_tar_cut_at_any_edge_of_a_member_is_refused_at_open(copied):
    path = copied / tar_paths(copied)[1]
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        edges = {e for m in tar for e in (m.offset, m.offset_data, m.offset_data + m.size)}
    for edge in sorted(edges | {len(whole) - 1}):
        path.write_bytes(whole[:edge])
        with pytest.raises(
            AuraError, match=rf"{path.name} has {edge} bytes, expected {len(whole)}"
        ):
            open_cache(str(copied))


def test_a_missing_tar_is_refused_at_open(copied):
    path = copied / tar_paths(copied)[2]
    path.unlink()
    with pytest.raises(AuraError, match=rf"{path.name} is missing"):
        open_cache(str(copied))


def test_a_tar_that_goes_missing_later_is_refused_by_name(copied):
    cache = open_cache(str(copied))
    path = copied / tar_paths(copied)[0]
    path.unlink()
    with pytest.raises(AuraError, match=rf"a shard is missing .*{path.name}"):
        cache.read(0)


def read_all(uri):
    cache = open_cache(uri)
    return cache.stem()


@pytest.mark.parametrize(
    "name", ["shards.json", "index.parquet", "codec.safetensors", "teacher_stem.safetensors"]
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
