import json
import tarfile
import tempfile

import pytest
import torch
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load

from aura_core.cache import shard as shards
from aura_core.cache.catalogue import read_members
from aura_core.cache.encode import EncodedSample
from aura_core.cache.plan import safe_key
from aura_core.cache.record import Entry, read_record
from aura_core.cache.shard import write_shard
from aura_core.errors import AuraError


@pytest.fixture(scope="module")
def samples(encode_clips, rows):
    return encode_clips(rows[:4], dtype="int8")[1]


def write(folder, samples):
    return write_shard(str(folder), "000000", samples, codec="c" * 32, width=384)


def test_the_same_samples_give_the_same_bytes(samples, tmp_path):
    records = [write(tmp_path / run, samples) for run in ("one", "two")]
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / run / "shards").iterdir()}
        for run in ("one", "two")
    )
    assert first == second
    tar = records[0].tar.path.removeprefix("shards/")
    assert set(first) == {"000000.json", "000000.parquet", tar}


def test_a_tar_is_named_by_its_content(samples, tmp_path):
    whole, part = write(tmp_path, samples), write(tmp_path, samples[:2])
    assert whole.tar.path == f"shards/000000-{whole.tar.xxh3[:12]}.tar"
    assert whole.tar.path != part.tar.path
    assert (tmp_path / whole.tar.path).stat().st_size == whole.tar.size_bytes
    assert read_record(str(tmp_path), "000000") == part


def test_plain_tarfile_reads_it(samples, tmp_path):
    record = write(tmp_path, samples)
    path = tmp_path / record.tar.path
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
    rows = read_members(str(tmp_path), record).to_pylist()
    for row, sample in zip(rows, samples, strict=True):
        assert row.items() >= sample.entry.model_dump().items()
        tensors = load(data[row["offset"] : row["offset"] + row["size_bytes"]])
        assert tensors.keys() == sample.tensors.keys()
        assert all(torch.equal(tensors[name], sample.tensors[name]) for name in tensors)


def test_plain_webdataset_reads_it(samples, tmp_path):
    record = write(tmp_path, samples)
    dataset = webdataset.WebDataset(
        str(tmp_path / record.tar.path), shardshuffle=False, empty_check=False
    )
    read = list(dataset)
    assert [item["__key__"] for item in read] == [sample.entry.key for sample in samples]
    for item, sample in zip(read, samples, strict=True):
        assert json.loads(item["json"])["text"] == sample.entry.text
        assert torch.equal(load(item["safetensors"])["layer_04"], sample.tensors["layer_04"])


LENGTHS = (1, 70, 71, 72, 73, 300)
IDS = st.text(min_size=1, max_size=300) | st.builds(
    lambda start, length: (start * length)[:length],
    st.sampled_from(["a", "/data/calls 2024/", "ä", "電", "😀", "a.b", "__"]),
    st.sampled_from(LENGTHS),
)


def sample_of(utterance_id):
    """A sample without states, which no key depends on."""
    entry = Entry(
        key=safe_key(utterance_id), id=utterance_id, text=utterance_id, instruction=None,
        response=None, speaker=None, split="train", family=None, duration_s=0.02,
        num_mel_frames=2, num_frames=1,
    )  # fmt: skip
    return EncodedSample(entry, {"log_mel": torch.zeros(2, 80, dtype=torch.float16)}, {})


@settings(deadline=None)
@given(st.lists(IDS, min_size=1, max_size=8, unique=True))
def test_plain_webdataset_reads_samples_of_any_id(ids):
    with tempfile.TemporaryDirectory() as folder:
        record = write(folder, map(sample_of, ids))
        tar = f"{folder}/{record.tar.path}"
        read = list(webdataset.WebDataset(tar, shardshuffle=False, empty_check=False))
        rows = read_members(folder, record).to_pylist()
    assert [json.loads(item["json"])["id"] for item in read] == ids
    assert [item["__key__"] for item in read] == [row["key"] for row in rows]
    assert all(load(item["safetensors"])["log_mel"].shape == (2, 80) for item in read)


def test_the_record_sums_up_the_storage_error(samples, tmp_path):
    record = write(tmp_path, samples)
    assert list(record.errors) == [1, 2, 3, 4]
    positions = sum(sample.errors[1].positions for sample in samples)
    for layer, error in record.errors.items():
        assert error.max_abs_error == max(s.errors[layer].max_abs for s in samples) > 0
        total = sum(s.errors[layer].cosine_sum for s in samples)
        assert error.mean_cosine == pytest.approx(total / positions)
        assert 0.999 < error.mean_cosine < 1


@pytest.mark.parametrize("position", [0, 100, -2])
def test_a_damaged_record_counts_as_none(samples, tmp_path, position):
    write(tmp_path, samples)
    path = tmp_path / "shards" / "000000.json"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    assert read_record(str(tmp_path), "000000") is None


def test_a_failure_in_mid_shard_publishes_nothing(samples, tmp_path):
    def failing():
        yield samples[0]
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write(tmp_path, failing())
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_disk_that_lies_is_found_before_publishing(samples, tmp_path, monkeypatch):
    write_tar = shards._write_tar

    def write_and_flip(path, *arguments):
        meant = write_tar(path, *arguments)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return meant

    monkeypatch.setattr(shards, "_write_tar", write_and_flip)
    with pytest.raises(AuraError, match=r"000000\.tar does not read back"):
        write(tmp_path, samples)
    assert list((tmp_path / "shards").iterdir()) == []
