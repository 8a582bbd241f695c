import json
from pathlib import Path

import pytest

from aura_core.errors import AuraError
from aura_core.ingest.readers import jsonl
from aura_core.ingest.source_item import Rejection, SourceItem


def read(folder: Path, *lines: object) -> list[SourceItem | Rejection]:
    manifest = folder / "manifest.jsonl"
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    manifest.write_bytes(b"\n".join(texts) + b"\n")
    return list(jsonl.read(str(manifest), {}))


def test_all_fields_are_read(tmp_path):
    line = {
        "audio_filepath": "wavs/a.flac",
        "text": " hello there ",
        "instruction": "What is wanted?",
        "response": "greet",
        "id": 7,
        "speaker": "anna",
        "split": "dev",
        "duration": 2,
        "lang": "en",
    }
    assert read(tmp_path, line) == [
        SourceItem(
            id="7",
            audio_uri=f"{tmp_path}/wavs/a.flac",
            text="hello there",
            instruction="What is wanted?",
            response="greet",
            speaker="anna",
            split="dev",
            declared_duration_s=2.0,
        )
    ]


def test_an_id_is_made_from_the_path_and_a_blank_text_is_none(tmp_path):
    assert read(tmp_path, {"audio_filepath": "x/b.wav", "text": "  "}) == [
        SourceItem(id="x/b", audio_uri=f"{tmp_path}/x/b.wav")
    ]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/data/a.wav", "/data/a.wav"),
        ("file:///data/a.wav", "/data/a.wav"),
        ("~/a.wav", str(Path("~/a.wav").expanduser())),
        ("s3://bucket/a.wav", "s3://bucket/a.wav"),
    ],
)
def test_a_path_that_is_not_relative_stays_where_it_is(tmp_path, path, uri):
    (item,) = read(tmp_path, {"audio_filepath": path})
    assert isinstance(item, SourceItem)
    assert item.audio_uri == uri


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{audio_filepath: a.wav}", "line 2 is not JSON"),
        (b'{"audio_filepath": "\xff.wav"}', "line 2 is not JSON"),
        (["a.wav"], "line 2 has no audio_filepath"),
        ({"text": "hello"}, "line 2 has no audio_filepath"),
        ({"audio_filepath": ""}, "line 2 has no audio_filepath"),
        ({"audio_filepath": "a.wav", "offset": -3.5}, "line 2 has offset -3.5"),
        ({"audio_filepath": "a.wav", "duration": "long"}, "line 2 has duration 'long'"),
        ({"audio_filepath": "a.wav", "text": ["hello"]}, "line 2 has text ['hello']"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(tmp_path, line, why):
    good = {"audio_filepath": "good.wav"}
    first, bad, last = read(tmp_path, good, line, good | {"id": "last"})
    assert isinstance(first, SourceItem)
    assert isinstance(last, SourceItem)
    assert isinstance(bad, Rejection)
    assert (bad.id, bad.kind) == ("line 2", "bad line")
    assert bad.detail.startswith(why)


def test_half_a_surrogate_pair_in_a_path_is_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text(r'{"audio_filepath": "\ud800.wav", "text": "hi"}')
    (item,) = jsonl.read(str(path), {})
    assert (item.id, item.audio_uri) == ("?", f"{tmp_path}/?.wav")


def test_blank_lines_are_counted_but_are_no_utterances(tmp_path):
    good, bad = read(tmp_path, {"audio_filepath": "a.wav"}, b"", b"  ", b"{")
    assert isinstance(good, SourceItem)
    assert bad.id == "line 4"


def test_segments_of_one_file_have_ids_of_their_own(tmp_path):
    cuts = [(0.0, 2.0), (2.0, 3.5)]
    lines = [{"audio_filepath": "a.wav", "offset": at, "duration": length} for at, length in cuts]
    found = read(tmp_path, *lines, {"audio_filepath": "a.wav", "offset": 5, "id": "last"})
    assert [(each.id, each.offset_s, each.declared_duration_s) for each in found] == [
        ("a-0+2", 0.0, 2.0), ("a-2+3.5", 2.0, 3.5), ("last", 5.0, None)
    ]  # fmt: skip


def test_an_array_is_read_as_its_elements(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(
        json.dumps([{"audio_filepath": "a.wav", "transcript": "hi"}, "b.wav"], indent=1)
    )
    first, bad = jsonl.read(str(path), {})
    assert (first.id, first.text) == ("a", "hi")
    assert bad.reason == "bad line: element 2 has no audio_filepath"
    path.write_text("[{]")
    with pytest.raises(AuraError, match="neither JSON lines nor a JSON array"):
        list(jsonl.read(str(path), {}))


def test_the_usual_names_of_a_transcript_are_known_and_others_are_named(tmp_path):
    for name in ("transcript", "sentence", "normalized_text", "raw_transcription"):
        assert read(tmp_path, {"audio_filepath": "a.wav", name: "hi"})[0].text == "hi"
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.wav", "said": "hi", "text": "other"}')
    (item,) = jsonl.read(str(manifest), {"audio": "file", "text": "said"})
    assert (item.id, item.text) == ("a", "hi")


def said(role, content):
    return {"role": role, "content": content}


def test_a_conversation_about_a_clip_is_an_instruction_and_a_response(tmp_path):
    messages = [said("user", "<audio>Who speaks?"), said("assistant", "Anna.")]
    (item,) = read(tmp_path, {"messages": messages, "audios": ["a.wav"]})
    assert (item.audio_uri, item.instruction, item.response, item.text) == (
        f"{tmp_path}/a.wav", "Who speaks?", "Anna.", None
    )  # fmt: skip
    for bad, why in (
        ({"messages": messages, "audios": ["a.wav", "b.wav"]}, "audios is no list of one clip"),
        ({"messages": messages * 2, "audios": ["a.wav"]}, "one of the user and one of the"),
        ({"messages": None, "audios": ["a.wav"]}, "has messages of []"),
    ):
        assert why in read(tmp_path, bad)[0].detail


def test_a_folder_is_no_manifest(tmp_path):
    with pytest.raises(AuraError, match="is not a file"):
        list(jsonl.read(str(tmp_path), {}))
