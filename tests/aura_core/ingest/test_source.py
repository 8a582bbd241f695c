import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import s3fs
import soundfile

from aura_core.config.run import DemoCorpusConfig, EvaluateConfig, IngestConfig
from aura_core.config.voices import ESPEAK_VOICES
from aura_core.errors import AuraError
from aura_core.ingest import source
from aura_core.ingest.source import (
    MISSING,
    content_digests,
    installable,
    read_items,
    source_digests,
)
from aura_core.ingest.source_item import Rejection


def test_a_digest_holds_size_and_content(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "b").write_bytes(b"hullo")
    a, b, gone = (str(tmp_path / name) for name in ("a", "b", "gone"))
    digests = content_digests([a, b, gone])
    assert digests[a].startswith("5 ")
    assert digests[a] != digests[b]
    assert digests[gone] == MISSING


def test_unchanged_files_are_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"hello")
    uris = [str(tmp_path / "a")]
    first = content_digests(uris)

    def fail(uri: str) -> str:
        raise AssertionError(f"{uri} is read again")

    monkeypatch.setattr(source, "_file_digest", fail)
    assert content_digests(uris) == first
    (tmp_path / "a").write_bytes(b"hello!")
    with pytest.raises(AssertionError, match="read again"):
        content_digests(uris)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AURA_CACHE", f"{tmp_path}/file/cache")
    (tmp_path / "a").write_bytes(b"hello")
    assert content_digests([str(tmp_path / "a")])


def test_a_manifest_in_a_bucket_is_pinned_by_its_objects(s3_folder, tmp_path):
    fs = s3fs.S3FileSystem()
    root = s3_folder.removeprefix("s3://")
    fs.pipe_file(f"{root}/wavs/a.wav", b"one")
    line = '{"audio_filepath": "wavs/a.wav", "text": "x"}\n'
    fs.pipe_file(f"{root}/m.jsonl", line.encode())
    config = IngestConfig(manifest=f"{s3_folder}/m.jsonl")
    (item,) = read_items(config)
    assert item.audio_uri == f"{s3_folder}/wavs/a.wav"
    before = source_digests(config)
    assert source_digests(config) == before
    fs.pipe_file(f"{root}/wavs/a.wav", b"two")
    changed = source_digests(config)
    fs.rm(f"{root}/wavs/a.wav")
    gone = source_digests(config)
    assert len({each["manifest"] for each in (before, changed, gone)}) == 3


def test_a_folder_in_a_bucket_is_recognised(s3_folder):
    fs = s3fs.S3FileSystem()
    root = s3_folder.removeprefix("s3://")
    fs.pipe_file(f"{root}/set/train/metadata.csv", b"file_name,text\na.wav,hello\n")
    fs.pipe_file(f"{root}/set/train/a.wav", b"RIFF")
    (item,) = read_items(IngestConfig(manifest=f"{s3_folder}/set"))
    assert (item.audio_uri, item.text, item.split) == (
        f"{s3_folder}/set/train/a.wav",
        "hello",
        "train",
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def no_human_speech(monkeypatch):
    """Most of this must hold the same with and without the packages."""
    monkeypatch.setattr(source, "human_digest", lambda count: None)
    monkeypatch.setattr(source, "is_installed", lambda: True)


@pytest.fixture
def manifest(tmp_path) -> str:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.full(1600, 0.1, dtype=np.float32), 16_000)
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"audio_filepath": "a.wav", "text": "one"}\n{"audio_filepath": "b.wav", "text": "two"}\n'
    )
    return str(path)


def manifest_digest(manifest: str) -> str:
    return source_digests(IngestConfig(manifest=manifest))["manifest"]


def test_only_ingest_reads_sources():
    assert source_digests(EvaluateConfig()) == {}


def test_the_demo_is_pinned_by_grammar_and_voices(monkeypatch):
    before = source_digests(IngestConfig())
    assert set(before) == {"grammar", "voice", "espeak", "second_voice"}
    monkeypatch.setattr(source, "grammar_text", lambda: "values: {}")
    after = source_digests(IngestConfig())
    assert {key for key in before if before[key] != after[key]} == {"grammar"}


def test_the_list_of_words_counts_where_it_is_drawn_from(monkeypatch):
    def digests(**settings):
        return source_digests(IngestConfig(demo=DemoCorpusConfig(**settings)))

    drawn = {"random_words_share": 0.5, "random_words": "english"}
    before = digests(**drawn)
    monkeypatch.setattr(source, "english_words_text", lambda: "animals: cat dog")
    after = digests(**drawn)
    assert {key for key in before if before[key] != after[key]} == {"english_words"}
    assert "english_words" not in digests(random_words_share=0.5) | digests(random_words="english")


def test_the_second_voice_that_is_installed_counts(tmp_path, monkeypatch):
    config = IngestConfig(demo=DemoCorpusConfig(train_voices=("piper", "espeak-ng:f2")))
    monkeypatch.setenv("PATH", str(tmp_path))
    without = source_digests(config)["second_voice"]
    assert "apt-get install flite" in installable(config)
    (tmp_path / "flite").write_text("#!/bin/sh\n")
    (tmp_path / "flite").chmod(0o755)
    assert without in ESPEAK_VOICES
    assert source_digests(config)["second_voice"] == "flite"
    assert installable(config) is None


def test_human_speech_counts_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(source, "human_digest", lambda count: f"xxh3:{count}")
    assert source_digests(IngestConfig())["human"] == "xxh3:60"


def test_a_run_says_what_human_speech_would_take(monkeypatch):
    monkeypatch.setattr(source, "is_installed", lambda: False)
    assert "human" not in source_digests(IngestConfig())
    assert "apt-get install asterisk-core-sounds-en" in installable(IngestConfig())
    assert installable(IngestConfig(demo=DemoCorpusConfig(human_utterances=0))) is None
    assert installable(IngestConfig(manifest="calls.jsonl")) is None


def test_a_training_voice_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    voices = DemoCorpusConfig(train_voices=("piper", "flite:slt"))
    with pytest.raises(AuraError, match="flite:slt needs flite, which"):
        source_digests(IngestConfig(demo=voices))


def test_the_same_content_has_the_same_digest(manifest):
    before = manifest_digest(manifest)
    for path in Path(manifest).parent.iterdir():
        os.utime(path, (1, 1))
    assert manifest_digest(manifest) == before


def test_one_changed_bit_of_audio_changes_the_digest(manifest):
    before = manifest_digest(manifest)
    audio = Path(manifest).with_name("b.wav")
    original = audio.read_bytes()
    audio.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    changed = manifest_digest(manifest)
    audio.write_bytes(original)
    assert changed != before
    assert manifest_digest(manifest) == before


def test_a_changed_text_changes_the_digest(manifest):
    before = manifest_digest(manifest)
    path = Path(manifest)
    path.write_text(path.read_text().replace("two", "ten"))
    assert manifest_digest(manifest) != before


def test_a_missing_file_has_a_digest_of_its_own(manifest):
    before = manifest_digest(manifest)
    Path(manifest).with_name("a.wav").unlink()
    assert manifest_digest(manifest) != before


def test_a_relative_manifest_is_the_same_as_an_absolute_one(manifest, monkeypatch):
    monkeypatch.chdir(Path(manifest).parent)
    assert manifest_digest("m.jsonl") == manifest_digest(manifest)


def test_what_is_not_there_or_has_no_known_format_is_named(tmp_path):
    with pytest.raises(AuraError, match=r"gone\.jsonl does not exist"):
        manifest_digest(f"{tmp_path}/gone.jsonl")
    with pytest.raises(AuraError, match="cannot tell the format"):
        manifest_digest(str(tmp_path))


def test_a_named_format_reads_a_file_of_any_name(manifest):
    renamed = Path(manifest).rename(Path(manifest).with_name("list.txt"))
    with pytest.raises(AuraError, match="cannot tell the format"):
        next(read_items(IngestConfig(manifest=str(renamed))))
    assert len(list(read_items(IngestConfig(manifest=str(renamed), format="jsonl")))) == 2


def test_the_limit_takes_the_first(manifest):
    assert [item.id for item in read_items(IngestConfig(manifest=manifest, limit=1))] == ["a"]


def test_a_split_cannot_leave_the_artifact(manifest):
    Path(manifest).write_text('{"audio_filepath": "a.wav", "split": "../up"}\n')
    (item,) = read_items(IngestConfig(manifest=manifest))
    assert isinstance(item, Rejection)
    assert item.kind == "bad split"


def test_planning_imports_no_heavy_library():
    code = (
        "import sys, aura_core.ingest.source as s; from aura_core.config.run import IngestConfig;"
        "s.source_digests(IngestConfig());"
        "print([m for m in ('torch', 'whisper', 'piper', 'onnxruntime', 'soundfile')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
