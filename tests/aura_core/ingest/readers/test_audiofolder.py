import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from aura_core.errors import AuraError
from aura_core.ingest.readers import audiofolder
from aura_core.ingest.source_item import Rejection, SourceItem


def write_wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(1600, dtype=np.float32), 16_000)


def test_metadata_is_read_with_quotes_and_a_byte_order_mark(tmp_path):
    (tmp_path / "metadata.csv").write_text(
        'file_name,transcription,speaker\nsub/a.wav,"hello, you",anna\nb.wav,,\n',
        encoding="utf-8-sig",
    )
    assert audiofolder.matches(str(tmp_path))
    assert list(audiofolder.read(str(tmp_path), {})) == [
        SourceItem(
            id="sub/a",
            audio_uri=f"{tmp_path}/sub/a.wav",
            text="hello, you",
            speaker="anna",
        ),
        SourceItem(id="b", audio_uri=f"{tmp_path}/b.wav"),
    ]


def test_the_metadata_file_itself_names_the_folder(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,hello\n")
    uri = f"{tmp_path}/metadata.csv"
    assert audiofolder.matches(uri)
    assert list(audiofolder.read(uri, {})) == list(audiofolder.read(str(tmp_path), {}))


def test_split_folders_with_their_own_metadata_keep_transcripts_and_split(tmp_path):
    for split in ("test", "train"):
        write_wav(tmp_path / split / "a.wav")
        (tmp_path / split / "metadata.csv").write_text(f"file_name,sentence\na.wav,{split} one\n")
    assert list(audiofolder.read(str(tmp_path), {})) == [
        SourceItem(f"{split}/a", f"{tmp_path}/{split}/a.wav", text=f"{split} one", split=split)
        for split in ("test", "train")
    ]


def test_bare_audio_files_are_utterances_without_a_transcript(tmp_path):
    write_wav(tmp_path / "digits" / "1.wav")
    write_wav(tmp_path / "hello.WAV")
    (tmp_path / "LICENSE").write_text("text")
    assert audiofolder.matches(str(tmp_path))
    assert list(audiofolder.read(str(tmp_path), {})) == [
        SourceItem(id="digits/1", audio_uri=f"{tmp_path}/digits/1.wav"),
        SourceItem(id="hello", audio_uri=f"{tmp_path}/hello.WAV"),
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_metadata_may_be_json_lines_or_parquet(tmp_path, suffix):
    rows = [{"file_name": "test/a.wav", "text": "hi"}, {"file_name": None, "text": "lost"}]
    path = tmp_path / f"metadata.{suffix}"
    if suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert audiofolder.matches(str(tmp_path))
    first, bad = audiofolder.read(str(tmp_path), {})
    assert first == SourceItem("test/a", f"{tmp_path}/test/a.wav", text="hi", split="test")
    assert bad.detail.endswith("has no file_name")


def test_folders_tell_the_split_of_bare_files_and_of_metadata_above_them(tmp_path):
    for split in ("train", "test"):
        write_wav(tmp_path / split / "a.wav")
    splits = [item.split for item in audiofolder.read(str(tmp_path), {})]
    assert splits == ["test", "train"]
    (tmp_path / "metadata.csv").write_text("file_name,text\ntest/a.wav,one\ntrain/a.wav,two\n")
    assert [item.split for item in audiofolder.read(str(tmp_path), {})] == ["test", "train"]


def test_recordings_of_telephones_are_listed(tmp_path):
    (tmp_path / "memo.m4a").write_bytes(b"no audio")
    (item,) = audiofolder.read(str(tmp_path), {})
    assert item.id == "memo"


def test_columns_need_metadata(tmp_path):
    write_wav(tmp_path / "a.wav")
    with pytest.raises(AuraError, match="has no metadata to have them"):
        list(audiofolder.read(str(tmp_path), {"text": "said"}))


def test_a_row_without_a_file_is_rejected_by_its_line(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,hello\n,lost\n")
    _, bad = audiofolder.read(str(tmp_path), {})
    assert isinstance(bad, Rejection)
    assert bad.reason == "bad line: line 3 has no file_name"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,text\na.wav,hello\n", "has no column file_name"),
        (b"", "has no column file_name"),
        (b"file_name,text\na.wav,caf\xe9\n", "is not UTF-8"),
    ],
)
def test_metadata_that_cannot_be_read_is_the_users_mistake(tmp_path, content, message):
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(AuraError, match=message):
        list(audiofolder.read(str(tmp_path), {}))


def test_a_folder_without_audio_is_not_one(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    assert not audiofolder.matches(str(tmp_path))
