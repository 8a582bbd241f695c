import json
import tarfile

import pytest
import torch
import webdataset
from safetensors.torch import load

from aura_core.cache import shard as shards
from aura_core.cache.encode import encode
from aura_core.cache.shard import write_shard
from aura_core.config import TeacherCacheConfig
from aura_core.errors import AuraError


@pytest.fixture(scope="module")
def samples(teacher, rows):
    return list(encode(teacher, rows[:4], TeacherCacheConfig()))


def test_the_same_samples_give_the_same_bytes(samples, tmp_path):
    for run in ("one", "two"):
        write_shard(str(tmp_path / run), "00000", samples)
    first = {p.name: p.read_bytes() for p in (tmp_path / "one" / "shards").iterdir()}
    second = {p.name: p.read_bytes() for p in (tmp_path / "two" / "shards").iterdir()}
    assert sorted(first) == ["00000.json", "00000.moments.safetensors", "00000.tar"]
    assert first == second


def test_plain_tarfile_reads_it(samples, tmp_path):
    record = write_shard(str(tmp_path), "00000", samples)
    path = tmp_path / "shards" / "00000.tar"
    with tarfile.open(path) as tar:
        infos = tar.getmembers()
        names = [info.name for info in infos]
        metadata = json.load(tar.extractfile(infos[0]))
    keys = [sample.entry.key for sample in samples]
    assert names == [f"{key}.{kind}" for key in keys for kind in ("json", "safetensors")]
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert metadata == samples[0].entry.model_dump()
    data = path.read_bytes()
    for member, sample in zip(record.members, samples, strict=True):
        tensors = load(data[member.offset : member.offset + member.size_bytes])
        assert tensors.keys() == sample.tensors.keys()
        assert all(torch.equal(tensors[name], sample.tensors[name]) for name in tensors)


def test_plain_webdataset_reads_it(samples, tmp_path):
    write_shard(str(tmp_path), "00000", samples)
    dataset = webdataset.WebDataset(
        str(tmp_path / "shards" / "00000.tar"), shardshuffle=False, empty_check=False
    )
    read = list(dataset)
    assert [item["__key__"] for item in read] == [sample.entry.key for sample in samples]
    for item, sample in zip(read, samples, strict=True):
        assert json.loads(item["json"])["text"] == sample.entry.text
        assert torch.equal(load(item["safetensors"])["layer_04"], sample.stored(4))


def test_the_storage_error_is_measured(samples, tmp_path):
    record = write_shard(str(tmp_path), "00000", samples)
    assert list(record.errors) == [1, 2, 3, 4]
    for layer, error in record.errors.items():
        worst = max(float((s.stored(layer).float() - s.exact[layer]).abs().max()) for s in samples)
        assert error.max_abs_error == worst > 0
        assert 0.9999 < error.mean_cosine < 1


def test_a_failure_in_mid_shard_publishes_nothing(samples, tmp_path):
    def failing():
        yield samples[0]
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_shard(str(tmp_path), "00000", failing())
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_disk_that_lies_is_found_before_publishing(samples, tmp_path, monkeypatch):
    write_tar = shards._write_tar

    def write_and_flip(path, *arguments):
        write_tar(path, *arguments)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(shards, "_write_tar", write_and_flip)
    with pytest.raises(AuraError, match=r"00000\.tar does not read back"):
        write_shard(str(tmp_path), "00000", samples)
    assert list((tmp_path / "shards").iterdir()) == []
