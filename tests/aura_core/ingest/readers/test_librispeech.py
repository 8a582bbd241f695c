from pathlib import Path

import pytest

from aura_core.errors import AuraError
from aura_core.ingest.readers import librispeech
from aura_core.ingest.source_item import Rejection, SourceItem


def write_chapter(root: Path, subset: str, content: bytes) -> Path:
    chapter = root / subset / "84" / "121123"
    chapter.mkdir(parents=True)
    (chapter / "84-121123.trans.txt").write_bytes(content)
    return chapter


def test_a_tree_gives_transcripts_speakers_and_splits(tmp_path):
    write_chapter(tmp_path, "dev-clean", b"84-121123-0000 GO  ON\n84-121123-0001 STOP IT'S LATE\n")
    write_chapter(tmp_path, "train-clean-100", b"84-121123-0002 YES\n")
    assert librispeech.matches(str(tmp_path))
    items = list(librispeech.read(str(tmp_path), {}))
    folder = f"{tmp_path}/dev-clean/84/121123"
    assert items[1] == SourceItem(
        id="84-121123-0001",
        audio_uri=f"{folder}/84-121123-0001.flac",
        text="stop it's late",
        speaker="84",
        split="dev-clean",
    )
    assert [item.split for item in items] == ["dev-clean", "dev-clean", "train"]


def test_one_subset_is_a_tree_too(tmp_path):
    write_chapter(tmp_path, "test-other", b"84-121123-0000 YES\n")
    (item,) = librispeech.read(f"{tmp_path}/test-other", {})
    assert item.split == "test-other"


def test_a_tree_with_other_names_leaves_the_split_open(tmp_path):
    write_chapter(tmp_path, "mine", b"84-121123-0000 YES\n")
    (item,) = librispeech.read(f"{tmp_path}/mine", {})
    assert item.split is None


def test_a_line_without_an_id_is_rejected_by_its_number(tmp_path):
    write_chapter(tmp_path, "dev-clean", b"84-121123-0000 YES\n\nhello there\n")
    good, bad = librispeech.read(str(tmp_path), {})
    assert isinstance(good, SourceItem)
    assert isinstance(bad, Rejection)
    assert bad.id == "line 3"
    assert bad.path.endswith("84-121123.trans.txt")


def test_a_transcript_that_is_not_utf8_is_the_users_mistake(tmp_path):
    write_chapter(tmp_path, "dev-clean", b"84-121123-0000 CAF\xc9\n")
    with pytest.raises(AuraError, match="is not UTF-8"):
        list(librispeech.read(str(tmp_path), {}))


def test_other_folders_do_not_match(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert not librispeech.matches(str(tmp_path))
    assert not librispeech.matches(str(tmp_path / "a.txt"))
