import json
import shutil
import subprocess

import jiwer
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from whisper.normalizers import EnglishTextNormalizer

from aura_core.config.run import IngestConfig
from aura_core.config.voices import VOICE, second_voice
from aura_core.errors import AuraError
from aura_core.ingest.grammar import DemoUtterance, Sentence
from aura_core.ingest.ingest import make_part, rejections_path
from aura_core.ingest.ingest_plan import plan_ingest
from aura_core.ingest.source_item import read_rejections
from aura_core.ingest.synthesis import Synthesizer
from aura_core.ingest.utterances import decode_audio, read_table
from aura_core.models.pinned import locate
from aura_core.models.references import parse

TEXT = "please tell my friend that dinner is ready at the station"


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A folder with one spoken sentence and no transcript."""
    folder = tmp_path_factory.mktemp("speech")
    config = IngestConfig().demo
    synthesizer = Synthesizer(locate(parse(VOICE).name), second_voice(), config, seed="0")
    row = synthesizer.speak(DemoUtterance("a", "train", Sentence("say", TEXT, (), TEXT)))
    (folder / "a.flac").write_bytes(row["audio"]["bytes"])
    return folder


def test_transcript_is_written_by_the_asr(speech, tmp_path):
    config = IngestConfig(manifest=str(speech), pseudo_label=True)
    [part] = plan_ingest(config).parts
    make_part(str(tmp_path), part, config, second_voice=None)
    [row] = read_table(str(tmp_path)).to_pylist()
    normalise = EnglishTextNormalizer()
    assert jiwer.wer(normalise(TEXT), normalise(row["text"])) < 0.2
    assert -1 < row["avg_logprob"] < 0


def test_silence_is_not_taken_for_the_word_whisper_hears_in_it(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    config = IngestConfig(manifest=str(tmp_path), pseudo_label=True)
    [part] = plan_ingest(config).parts
    assert make_part(str(tmp_path / "out"), part, config, second_voice=None) == 0
    [rejection] = read_rejections(str(tmp_path / "out" / rejections_path(part.number)))
    assert rejection.kind == "empty pseudo-label"


def write_tone(path, rate=16_000, duration_s=0.5):
    time_s = np.arange(int(rate * duration_s)) / rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 300 * time_s), rate)


def ingest(folder, lines, **settings):
    """Make the only part of a JSONL manifest; returns its rows and rejections."""
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = IngestConfig(manifest=str(folder / "m.jsonl"), heldout_share=0, **settings)
    [part] = plan_ingest(config).parts
    uri = str(folder / "artifact")
    count = make_part(uri, part, config, second_voice=None)
    rows = read_table(uri).to_pylist()
    assert count == len(rows)
    return rows, read_rejections(f"{uri}/{rejections_path(0)}")


def test_row_holds_everything_the_manifest_says(tmp_path):
    write_tone(tmp_path / "a.wav", rate=8000)
    line = {"audio_filepath": "a.wav", "text": "a tone", "instruction": "What?", "response": "tone",
            "id": "x1", "speaker": "s1", "split": "train", "duration": 0.5}  # fmt: skip
    [row], rejections = ingest(tmp_path, [line])
    assert not rejections
    audio = row.pop("audio")
    assert len(row.pop("digest")) == 32
    assert row == {
        "id": "x1", "text": "a tone", "instruction": "What?", "response": "tone", "speaker": "s1",
        "split": "train", "family": None, "duration_s": 0.5, "source_sample_rate": 8000,
        "avg_logprob": None,
    }  # fmt: skip
    assert audio["path"] == "x1.flac"
    assert np.abs(decode_audio(audio["bytes"])).max() == pytest.approx(0.5, abs=0.02)


def test_bad_files_are_named_and_the_rest_goes_on(tmp_path):
    write_tone(tmp_path / "good.wav")
    write_tone(tmp_path / "long.wav", duration_s=2.5)
    write_tone(tmp_path / "short.wav", duration_s=0.5)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not audio " * 100)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:3000])
    (tmp_path / "folder.wav").mkdir()
    names = ["empty", "text", "cut", "gone", "folder", "long", "good", "short"]
    lines = [{"audio_filepath": f"{name}.wav", "text": "hi"} for name in names]
    lines[-1]["duration"] = 2.0
    rows, rejections = ingest(tmp_path, lines, max_duration_s=2.0)
    assert [row["id"] for row in rows] == ["good"]
    assert {each.id: each.kind for each in rejections} == {
        "empty": "empty",
        "text": "not audio",
        "cut": "truncated",
        "gone": "missing",
        "folder": "missing",
        "long": "too long",
        "short": "truncated",
    }
    assert rejections[-1].detail == "the manifest says 2 s, the file holds 0.50 s"
    assert all(each.path == f"{tmp_path}/{each.id}.wav" for each in rejections)


def test_segments_are_cut_and_a_file_longer_than_stated_is_refused(tmp_path):
    time_s = np.arange(160_000) / 16_000
    soundfile.write(tmp_path / "a::b.wav", np.sin(2 * np.pi * 300 * time_s) * (time_s < 2), 16_000)
    cuts = [(0.0, 2.0), (2.0, 3.0), (7.5, 2.5), (9.0, 2.0)]
    lines = [
        {"audio_filepath": "a::b.wav", "text": "hi", "offset": at, "duration": length}
        for at, length in cuts
    ]
    lines.append({"audio_filepath": "a::b.wav", "text": "hi", "duration": 2})
    rows, rejections = ingest(tmp_path, lines)
    assert [row["duration_s"] for row in rows] == [2.0, 3.0, 2.5]
    assert len({row["id"] for row in rows}) == 3
    levels = [np.abs(decode_audio(row["audio"]["bytes"])).max() > 0.5 for row in rows]
    assert levels == [True, False, False]
    assert [each.kind for each in rejections] == ["truncated", "longer than stated"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_telephones_recording_is_ingested_also_out_of_parquet(tmp_path):
    write_tone(tmp_path / "a.wav", 44_100, 1.0)
    memo = tmp_path / "memo.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", memo], check=True)
    (tmp_path / "bad.m4a").write_bytes(b"no audio")
    lines = [{"audio_filepath": name, "text": "hi"} for name in ("memo.m4a", "bad.m4a")]
    [row], [rejection] = ingest(tmp_path, lines)
    assert row["source_sample_rate"] == 44_100
    assert row["duration_s"] == pytest.approx(1.0, abs=0.1)
    assert (rejection.id, rejection.kind) == ("bad", "not audio")
    data = pa.table({"audio": [{"bytes": memo.read_bytes(), "path": "memo.m4a"}], "text": ["hi"]})
    pq.write_table(data, tmp_path / "x.parquet")
    [part] = plan_ingest(IngestConfig(manifest=str(tmp_path / "x.parquet"))).parts
    assert make_part(str(tmp_path / "out"), part, IngestConfig(), second_voice=None) == 1


def test_english_alone_cannot_be_told_to_write_german(speech, tmp_path):
    config = IngestConfig(manifest=str(speech), pseudo_label=True, language="de")
    [part] = plan_ingest(config).parts
    with pytest.raises(AuraError, match=r"pinned:whisper-tiny\.en knows English only"):
        make_part(str(tmp_path), part, config, second_voice=None)


def test_a_part_of_bad_files_only_is_published(tmp_path):
    rows, rejections = ingest(tmp_path, [{"audio_filepath": "gone.wav", "text": "hi"}])
    assert rows == []
    assert len(rejections) == 1


def test_what_the_asr_does_not_hear_is_rejected(tmp_path):
    draw = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", 0.1 * draw.standard_normal(16_000), 16_000)
    _, [rejection] = ingest(
        tmp_path, [{"audio_filepath": "noise.wav"}], pseudo_label=True, min_avg_logprob=-0.05
    )
    assert rejection.kind in ("weak pseudo-label", "empty pseudo-label")
