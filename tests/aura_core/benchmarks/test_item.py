from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from aura_core.benchmarks import item as items
from aura_core.benchmarks.item import BenchmarkItem, find_items, read_items, read_texts, write_items
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection
from aura_core.ingest.utterances import decode_audio


@pytest.fixture
def item(audio):
    def make(number=0, **changes):
        whole = BenchmarkItem(
            f"q{number}", f"text {number}", "Answer.", ("yes", "ja"), audio(),
            {"A": "ä", "B": "b"}, {"checks": [{"n": 1}], "region": None},
        )  # fmt: skip
        return replace(whole, **changes)

    return make


def kinds(written):
    return {rejection.id: rejection.kind for rejection in written.rejections}


def test_an_item_comes_back_as_it_was(tmp_path, item):
    write_items(str(tmp_path), [item(), item(1, choices=None, prompt_text="")])
    back = {each.id: each for each in read_items(str(tmp_path))}
    expected = item(extra={**item().extra, "duration_s": 0.5}, duration_s=0.5)
    assert replace(back["q0"], audio=b"") == replace(expected, audio=b"")
    assert (back["q1"].choices, back["q1"].prompt_text) == (None, "")


def test_items_are_found_by_their_ids_and_no_ids_are_no_items(tmp_path, item):
    write_items(str(tmp_path), [item(number) for number in range(5)])
    assert {each.id for each in find_items(str(tmp_path), ["q1", "q3", "gone"])} == {"q1", "q3"}
    assert find_items(str(tmp_path), []) == []


@pytest.mark.parametrize(
    ("file_format", "rate", "channels"), [("WAV", 8000, 2), ("MP3", 48_000, 1), ("OGG", 44_100, 1)]
)
def test_any_audio_becomes_flac_at_16_khz(tmp_path, item, audio, file_format, rate, channels):
    sound = audio(0.5, rate, file_format, channels)
    write_items(str(tmp_path), [item(audio=sound)])
    (back,) = read_items(str(tmp_path))
    assert back.audio[:4] == b"fLaC"
    assert back.duration_s == pytest.approx(0.5, abs=0.06)
    samples = decode_audio(back.audio)
    assert samples.shape == (round(back.duration_s * 16_000),)
    assert 0.01 < np.std(samples) < 0.3


def test_every_broken_item_is_named_and_the_rest_is_kept(tmp_path, item):
    read_before = Rejection("row 7", "a.csv", "bad row", "no path")
    written = write_items(
        str(tmp_path),
        [
            item(0), item(0, text="another"), read_before,
            item(2, references=()), item(3, references=(" ", "")), item(4, text=" "),
            item(5, audio=b""), item(6, audio=b"junk"), item(7, audio=item().audio[:-200]),
            item(id=" "), item(9),
        ],
    )  # fmt: skip
    assert kinds(written) == {
        "q0": "duplicate id", "row 7": "bad row", "q2": "no reference", "q3": "no reference",
        "q4": "no transcript", "q5": "empty", "q6": "not audio", "q7": "truncated", " ": "no id",
    }  # fmt: skip
    assert written.num_items == 2
    assert {each.id: each.text for each in read_items(str(tmp_path))} == {
        "q0": "text 0",
        "q9": "text 9",
    }


def test_only_an_open_question_may_do_without_a_reference(tmp_path, item):
    is_open = {"open_ended": True}
    written = write_items(
        str(tmp_path),
        [
            item(0, references=("",), extra=is_open),
            item(1, references=("",), extra={"open_ended": False}),
        ],
    )
    assert kinds(written) == {"q1": "no reference"}
    (kept,) = read_items(str(tmp_path))
    assert kept.references == ("",)


def test_what_no_model_can_hear_whole_is_named(tmp_path, item, audio):
    items = [item(0, audio=audio(30.0, 8000)), item(1, audio=audio(30.1, 8000))]
    written = write_items(str(tmp_path), items)
    assert kinds(written) == {"q1": "too long"}
    assert read_items(str(tmp_path))[0].duration_s == 30.0


def test_an_id_whose_first_item_was_broken_is_not_taken(tmp_path, item):
    written = write_items(str(tmp_path), [item(audio=b""), item()])
    assert kinds(written) == {"q0": "empty"}
    assert written.num_items == 1


def test_fewer_items_are_the_first_of_more_and_do_not_follow_the_set(tmp_path, item):
    write_items(str(tmp_path), map(item, range(20)))
    ids = [each.id for each in read_items(str(tmp_path))]
    assert sorted(ids) == sorted(f"q{n}" for n in range(20))
    assert ids != [f"q{n}" for n in range(20)]
    assert [each.id for each in read_items(str(tmp_path), 5)] == ids[:5]
    assert read_items(str(tmp_path), 0) == []
    assert read_texts(str(tmp_path)) == [f"text {n}" for n in range(20)]


def test_a_part_holds_so_many_rows_and_so_much_audio(tmp_path, item, monkeypatch):
    monkeypatch.setattr(items, "MAX_PART_ROWS", 3)
    written = write_items(str(tmp_path / "rows"), map(item, range(7)))
    sizes = [pq.read_metadata(tmp_path / "rows" / file).num_rows for file in written.files]
    assert sizes == [3, 3, 1]
    assert len(read_items(str(tmp_path / "rows"))) == 7
    monkeypatch.setattr(items, "_MAX_PART_BYTES", 1)
    assert len(write_items(str(tmp_path / "bytes"), map(item, range(3))).files) == 3


def test_the_digest_is_that_of_the_items(tmp_path, item, audio, monkeypatch):
    def digest(*items):
        return write_items(str(tmp_path / "x"), items).sha256

    first = digest(item(0), item(1))
    assert first == digest(item(0), item(1))
    monkeypatch.setattr(items, "MAX_PART_ROWS", 1)
    assert first == digest(item(0), item(1))
    changed = [
        item(1, text="other"), item(1, audio=audio(0.25)), item(1, references=("no",)),
        item(1, extra={}), item(2),
    ]  # fmt: skip
    assert len({first, *(digest(item(0), each) for each in changed)}) == 6


def test_the_columns_are_the_published_ones(tmp_path, item):
    (file,) = write_items(str(tmp_path), [item()]).files
    table = pq.read_table(tmp_path / file)
    assert table.column_names == [
        "id", "audio", "duration_s", "text", "prompt_text", "references", "choices", "extra",
    ]  # fmt: skip
    assert table["choices"].to_pylist() == ['{"A": "ä", "B": "b"}']
    assert table["audio"].to_pylist()[0]["path"] == "q0.flac"


def test_an_object_store_will_do(s3_folder, item):
    write_items(s3_folder, [item()])
    assert [each.id for each in read_items(s3_folder)] == ["q0"]


def test_no_table_is_a_mistake_and_an_empty_one_is_not(tmp_path):
    with pytest.raises(AuraError, match="holds no benchmark items"):
        read_items(str(tmp_path))
    assert write_items(str(tmp_path), []).num_items == 0
    assert read_items(str(tmp_path)) == []
