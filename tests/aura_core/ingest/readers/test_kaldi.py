import pytest

from aura_core.errors import AuraError
from aura_core.ingest.readers import kaldi
from aura_core.ingest.source_item import SourceItem


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder)


def test_segments_of_recordings_are_utterances(tmp_path):
    uri = write(
        tmp_path, wav_scp="r1 wav/one.wav\nr2 sox a.wav -t wav - |\n",
        segments="u1 r1 0.5 2.0\nu2 r2 0 1\nu3 r3 0 1\nu4 r1 2 1\nu5 r1 2 end\n",
        text="u1 hello there\n", utt2spk="u1 anna\n",
    )  # fmt: skip
    assert kaldi.matches(uri)
    first, *bad = kaldi.read(uri, {})
    assert first == SourceItem(
        "u1", f"{tmp_path}/wav/one.wav", "hello there", speaker="anna",
        offset_s=0.5, declared_duration_s=1.5,
    )  # fmt: skip
    assert [each.id for each in bad] == ["u2", "u3", "u4", "u5"]
    whys = ["is made by a command", "names recording r3", "begins at 2 s and ends at 1", "not two"]
    assert all(why in each.detail for why, each in zip(whys, bad, strict=True))


def test_folders_are_splits_and_recordings_utterances_without_segments(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / split, wav_scp="u1 /data/u1.wav\n", text="u1 hello\n")
    assert [(each.id, each.split, each.offset_s) for each in kaldi.read(str(tmp_path), {})] == [
        ("u1", "test", None), ("u1", "train", None)
    ]  # fmt: skip


def test_another_folder_is_none(tmp_path):
    write(tmp_path / "sub", text="u1 hello\n")
    assert not kaldi.matches(str(tmp_path))
    assert not kaldi.matches(str(tmp_path / "sub" / "text"))
    with pytest.raises(AuraError, match="have none"):
        list(kaldi.read(str(tmp_path), {"text": "said"}))
