from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aura_core.errors import AuraError
from aura_core.ingest.readers import parquet
from aura_core.ingest.source_item import SourceItem


def write(path: Path, columns: dict, row_group_size: int = 2) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def audio(*names: str) -> list[dict]:
    return [{"bytes": name.encode() * 3, "path": f"{name}.wav"} for name in names]


def test_rows_are_read_and_their_audio_is_found_again(tmp_path):
    names = ["a", "b", "c", "d", "e"]
    uri = write(tmp_path / "x.parquet", {"audio": audio(*names), "text": names, "speaker": [1] * 5})
    items = list(parquet.read(uri, {}))
    assert items[3] == SourceItem(id="d", audio_uri=uri, text="d", speaker="1", parquet_row=(1, 1))
    for name, item in zip(names, items, strict=True):
        assert parquet.read_audio(uri, item.parquet_row) == (name.encode() * 3, f"{name}.wav")


def test_a_dataset_folder_gives_the_split_of_its_file_names(tmp_path):
    for split in ("train", "test"):
        write(
            tmp_path / "data" / f"{split}-00000-of-00001.parquet",
            {"audio": audio(split), "sentence": ["hello"]},
        )
    assert parquet.matches(str(tmp_path))
    items = list(parquet.read(str(tmp_path), {}))
    assert [(item.id, item.split, item.text) for item in items] == [
        ("test", "test", "hello"),
        ("train", "train", "hello"),
    ]


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("default/test/0000.parquet", "test"),
        ("test-00000-of-00001-0123456789abcdef.parquet", "test"),
        ("data/validation.parquet", "validation"),
        ("dev/part.parquet", "validation"),
        ("en/a.parquet", None),
        ("contest/a.parquet", None),
    ],
)
def test_splits_are_told_by_names_of_files_and_folders_as_on_the_hub(tmp_path, path, split):
    uri = write(tmp_path / path, {"audio": audio("a")})
    (item,) = parquet.read(str(tmp_path), {})
    assert item.split == split
    (alone,) = parquet.read(uri, {})
    assert alone.split == ("test" if "-of-" in path else None)


def test_files_of_one_name_have_rows_of_different_ids(tmp_path):
    for name in ("en", "de"):
        write(tmp_path / name / "train-0-of-1.parquet", {"audio": [{"bytes": b"1"}]})
    ids = [item.id for item in parquet.read(str(tmp_path), {})]
    assert ids == ["de/train-0-of-1-0-0", "en/train-0-of-1-0-0"]


def test_a_list_is_no_transcript(tmp_path):
    uri = write(tmp_path / "x.parquet", {"audio": audio("a", "b"), "text": [["a", "b"], []]})
    assert {item.kind for item in parquet.read(uri, {})} == {"bad line"}


def test_columns_of_other_names(tmp_path):
    uri = write(tmp_path / "x.parquet", {"clip": audio("a"), "said": ["hi"]})
    columns = {"audio": "clip", "text": "said"}
    (item,) = parquet.read(uri, columns)
    assert (item.id, item.text) == ("a", "hi")
    assert parquet.read_audio(uri, item.parquet_row, "clip")[0] == b"aaa"
    with pytest.raises(AuraError, match=r"no column words, which ingest\.columns names, only clip"):
        list(parquet.read(uri, {**columns, "text": "words"}))


def test_a_split_column_wins_over_the_file_name(tmp_path):
    uri = write(tmp_path / "train-0-of-1.parquet", {"audio": audio("a"), "split": ["dev"]})
    (item,) = parquet.read(uri, {})
    assert item.split == "dev"


def test_rows_without_id_and_path_get_distinct_ids(tmp_path):
    uri = write(tmp_path / "x.parquet", {"audio": [{"bytes": b"1"}] * 3})
    assert [item.id for item in parquet.read(uri, {})] == ["x-0-0", "x-0-1", "x-1-0"]


def test_a_row_without_audio_reads_as_none(tmp_path):
    schema = pa.schema([("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    rows = [{"audio": None}, {"audio": {"bytes": None, "path": "a.wav"}}]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "x.parquet")
    uri = f"{tmp_path}/x.parquet"
    found = [parquet.read_audio(uri, item.parquet_row) for item in parquet.read(uri, {})]
    assert found == [(None, ""), (None, "a.wav")]


@pytest.mark.parametrize("columns", [{"text": ["a"]}, {"audio": [b"RIFF"]}, {"audio": ["a.wav"]}])
def test_without_an_audio_struct_it_is_the_users_mistake(tmp_path, columns):
    uri = write(tmp_path / "x.parquet", columns)
    with pytest.raises(AuraError, match="has no column audio"):
        list(parquet.read(uri, {}))


def test_a_damaged_file_is_the_users_mistake(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(AuraError, match=r"x\.parquet is not a Parquet file"):
        list(parquet.read(f"{tmp_path}/x.parquet", {}))
