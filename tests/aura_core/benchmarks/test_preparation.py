import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from aura_core.artifacts import store
from aura_core.benchmarks import preparation
from aura_core.benchmarks.item import read_items
from aura_core.benchmarks.preparation import Card, download, prepare, write_card
from aura_core.config.benchmarks import BENCHMARKS
from aura_core.errors import AuraError


@pytest.fixture
def hub(monkeypatch):
    """A hub that knows one commit; what it was asked for is kept."""
    asked = []

    def dataset_info(self, repo, revision, timeout):
        asked.append((repo, revision))
        return SimpleNamespace(sha="c0ffee")

    def snapshot_download(repo, **options):
        asked.append((repo, options))

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_the_commit_is_resolved_first_and_only_what_is_needed_is_fetched(hub, tmp_path):
    assert download(BENCHMARKS["voicebench_ifeval"], tmp_path) == "c0ffee"
    (_, (repo, options)) = hub
    assert repo == "hlt-lab/voicebench"
    assert (options["revision"], options["repo_type"]) == ("c0ffee", "dataset")
    assert options["allow_patterns"] == ["ifeval/*.parquet"]
    assert options["local_dir"] == tmp_path


def test_a_hub_out_of_reach_is_told_in_one_line(monkeypatch, tmp_path):
    def fail(*_args, **_options):
        raise OSError("no route to host\nand much more")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", fail)
    with pytest.raises(AuraError, match=r"\(no route to host\).*by hand: https://") as caught:
        download(BENCHMARKS["voicebench_ifeval"], tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_not_on_the_hub_says_where_it_is(tmp_path):
    with pytest.raises(AuraError, match=r"by hand: https://www\.openslr\.org/12"):
        download(BENCHMARKS["librispeech_test_clean"], tmp_path)
    with pytest.raises(AuraError, match="is made here"):
        download(BENCHMARKS["spoken_facts"], tmp_path)


CARD = Card(
    name="trivia_qa", version=1, source="/data", revision={"content": "xxh3:1"}, licence="x",
    scorer="exist_match", scorer_version=1, sha256="0" * 64, counts={"items": 2, "rejected": 0},
)  # fmt: skip


def card_in(folder):
    return Card.model_validate_json((Path(folder) / "card.json").read_text())


def test_a_card_comes_back(tmp_path):
    assert write_card(str(tmp_path), CARD) == "card.json"
    assert card_in(str(tmp_path)) == CARD


PINNED = {"version": "1", "content": "xxh3:abc"}


@pytest.fixture
def questions(write, audio):
    """A set of so many good questions, and so many whose audio is missing."""

    def make(num_good, num_missing=0, num_broken=0):
        rows = "Questions,Answer,audio_filename\n"
        for number in range(num_good + num_missing + num_broken):
            rows += f"q {number},a {number},{number}.wav\n"
        for number in range(num_good + num_broken):
            write(f"set/audios/{number}.wav", audio() if number < num_good else b"junk")
        return write("set/llama_questions.csv", rows) / "set"

    return make


def test_a_folder_becomes_items_a_card_and_what_was_rejected(questions, tmp_path):
    uri = str(tmp_path / "out")
    files, counts = prepare("llama_questions", str(questions(18, 1, 1)), uri, PINNED)
    assert files == ["items/part-00000.parquet", "card.json", "rejected.jsonl"]
    assert all(store.exists(store.join(uri, file)) for file in files)
    assert counts == {
        "items": 18, "rejected": 2, "rejected.missing": 1, "rejected.not audio": 1,
    }  # fmt: skip
    assert len(read_items(uri)) == 18
    card = card_in(uri)
    assert card.counts == {"items": 18, "rejected": 2, "expected": 300}
    assert card.rejected == {"missing": 1, "not audio": 1}
    assert (card.scorer, card.revision) == ("exist_match", PINNED)
    lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"]: json.loads(line)["reason"] for line in lines} == {
        "18": "not audio: Format not recognised",
        "19": "missing: there is no such file",
    }


def test_more_than_a_tenth_rejected_is_refused_with_the_reasons(questions, tmp_path):
    with pytest.raises(AuraError, match=r"3 of 20 items \(15\.0%\) are rejected.*missing \(3\)"):
        prepare("llama_questions", str(questions(17, 3)), str(tmp_path / "out"), PINNED)
    assert not store.exists(str(tmp_path / "out/card.json"))


def test_a_set_without_an_item_is_refused(questions, tmp_path):
    with pytest.raises(AuraError, match="names no item"):
        prepare("llama_questions", str(questions(0)), str(tmp_path / "out"), PINNED)


def test_a_folder_on_an_object_store_is_read(questions, s3_folder, tmp_path):
    store.upload_folder(questions(2), f"{s3_folder}/set")
    _, counts = prepare("llama_questions", f"{s3_folder}/set", f"{s3_folder}/out", PINNED)
    assert counts == {"items": 2, "rejected": 0}
    assert len(read_items(f"{s3_folder}/out")) == 2


@pytest.mark.parametrize(
    ("name", "source", "match"),
    [
        ("llama_questions", "/no/such/folder", "is not a folder"),
        ("llama_questions", "embedded", "give the folder"),
        ("nonsense", "/data", "no such benchmark"),
        ("spoken_choice", "/data", "takes no folder"),
    ],
)
def test_a_wrong_name_or_source_is_a_mistake(tmp_path, name, source, match):
    with pytest.raises(AuraError, match=match):
        prepare(name, source, str(tmp_path), PINNED)


def test_what_is_read_has_no_audio_and_needs_no_voice(tmp_path):
    uri = str(tmp_path)
    _, counts = prepare("text_choice", "embedded", uri, {"texts": "xxh3:abc"})
    items = read_items(uri)
    assert counts == {"items": len(items), "rejected": 0}
    assert {(item.audio, item.duration_s) for item in items} == {(None, 0.0)}
    assert all(len(item.text.splitlines()) == 5 for item in items)


def test_what_is_spoken_here_is_prepared_the_same_way(tmp_path, monkeypatch, audio):
    item = preparation.BenchmarkItem("i", "hello", "", ("hello",), audio())
    monkeypatch.setattr(preparation, "_spoken", lambda name, second: iter([item]))
    uri = str(tmp_path)
    _, counts = prepare("spoken_transcription", "embedded", uri, {"second_voice": "none"})
    assert counts == {"items": 1, "rejected": 0}
    assert card_in(uri).counts == {"items": 1, "rejected": 0}
    assert card_in(uri).scorer_version == 1
