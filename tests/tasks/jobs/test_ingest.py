"""The stage `ingest` on real Ray: parts, what is left out, going on after a kill."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import ray
import soundfile

from aura_core.artifacts import store
from aura_core.config.recipes import recipe
from aura_core.config.run import DemoCorpusConfig, IngestConfig
from aura_core.config.stage import Runtime
from aura_core.errors import AuraError
from aura_core.ingest import source
from aura_core.ingest.ingest_plan import PART_ITEMS
from aura_core.ingest.utterances import read_table
from aura_core.stages import plan
from tasks.jobs import ingest

NUM_GOOD = 2 * PART_ITEMS + 10


@pytest.fixture(scope="module")
def local_ray():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three parts of short tones; among them three files that cannot be used."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(0)
    names = [f"u{i}" for i in range(NUM_GOOD)]
    for name in names:
        soundfile.write(folder / f"{name}.wav", 0.3 * draw.standard_normal(800), 8000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no audio at all")
    names = [*names[:5], "empty", "text", "gone", *names[5:], "u7"]
    lines = [{"audio_filepath": f"{name}.wav", "text": f"this is {name}"} for name in names]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    return str(manifest)


def make_spec(root, manifest, workers=2, **settings):
    config = IngestConfig(manifest=manifest, runtime=Runtime(workers=workers), **settings)
    return plan(recipe("smoke").model_copy(update={"ingest": config}), str(root))["ingest"]


def contents(uri, files):
    return {name: Path(uri, name).read_bytes() for name in files}


def test_everything_listed_is_a_row_or_a_rejection(local_ray, corpus, tmp_path):
    spec = make_spec(tmp_path, corpus)
    files, counts, metrics = ingest.run(spec)
    assert files == ["rejected.jsonl", *(f"utterances/part-0000{i}.parquet" for i in range(3))]
    assert counts["utterances"] == NUM_GOOD
    assert counts["split heldout"] + counts["split train"] == NUM_GOOD
    rejected = [json.loads(line) for line in Path(spec.uri, files[0]).read_text().splitlines()]
    assert {each["id"]: each["reason"].split(":")[0] for each in rejected} == {
        "u7": "duplicate",
        f"line {NUM_GOOD + 5}": "bad line",
        "empty": "empty",
        "text": "not audio",
        "gone": "missing",
    }
    assert counts["rejected"] == 5
    assert counts["rejected: missing"] == 1
    rows = read_table(spec.uri, columns=["id", "text"]).to_pylist()
    assert rows == [{"id": f"u{i}", "text": f"this is u{i}"} for i in range(NUM_GOOD)]
    assert sum(metrics["hours"].values()) == pytest.approx(NUM_GOOD * 0.1 / 3600, abs=2e-4)


def test_bytes_do_not_depend_on_the_workers(local_ray, corpus, tmp_path):
    made = []
    for workers in (1, 2):
        spec = make_spec(tmp_path / str(workers), corpus, workers)
        files, *_ = ingest.run(spec)
        made.append(contents(spec.uri, files))
    assert made[0] == made[1]


def test_a_killed_run_goes_on_with_the_parts_it_lacks(local_ray, corpus, tmp_path):
    spec = make_spec(tmp_path, corpus)
    files, counts, _ = ingest.run(spec)
    before = contents(spec.uri, files)
    for name in ("rejected.jsonl", "utterances/part-00001.parquet"):
        Path(spec.uri, name).unlink()
    kept = [Path(spec.uri, f"utterances/part-0000{i}.parquet") for i in (0, 2)]
    times = [path.stat().st_mtime_ns for path in kept]
    _, counts_again, _ = ingest.run(spec)
    assert counts_again == counts
    assert contents(spec.uri, files) == before
    assert [path.stat().st_mtime_ns for path in kept] == times


def test_a_split_without_any_good_file_is_an_error(local_ray, corpus, tmp_path):
    good = Path(corpus).with_name("u0.wav")
    lines = [{"audio_filepath": str(good), "text": "a", "id": str(i)} for i in range(9)]
    lines.append({"audio_filepath": "gone.wav", "text": "a", "split": "test"})
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    spec = make_spec(tmp_path, str(manifest), max_rejected_share=0.2)
    with pytest.raises(AuraError, match="every utterance of split 'test' is rejected"):
        ingest.run(spec)


def test_too_many_rejections_stop_the_driver_with_one_line(corpus, tmp_path):
    spec = make_spec(tmp_path, corpus, max_rejected_share=0.01)
    store.write_text(spec.spec_uri, spec.model_dump_json())
    result = subprocess.run(
        [sys.executable, "-m", "tasks.jobs.ingest", "--spec", spec.spec_uri],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: 5 of {NUM_GOOD + 5} utterances (1.8%) are rejected")
    assert "missing" in last
    assert not Path(spec.uri, "manifest.json").exists()
    # Why is on disk already.
    assert len(Path(spec.uri, "rejected.jsonl").read_text().splitlines()) == 5


def test_the_demo_corpus_says_who_speaks_and_has_human_speech_where_it_is(
    local_ray, tmp_path, monkeypatch
):
    sounds, transcripts = tmp_path / "sounds", tmp_path / "list.txt.gz"
    sounds.mkdir()
    soundfile.write(sounds / "open.wav", np.full(16_000, 0.1), 8000)
    transcripts.write_bytes(gzip.compress(b"open: The door is open.\n"))
    monkeypatch.setattr(source, "SOUNDS", sounds)
    monkeypatch.setattr(source, "TRANSCRIPTS", transcripts)
    demo = DemoCorpusConfig(
        train_utterances=8, heldout_utterances=4, phrasing_utterances=4, voice_utterances=4,
        noise_share=0.25,
    )  # fmt: skip
    spec = make_spec(tmp_path, None, demo=demo)
    _, counts, metrics = ingest.run(spec)
    assert counts["utterances"] == 21
    # Nobody speaks in noise.
    silent = [row for row in read_table(spec.uri).to_pylist() if not row["text"]]
    assert [(row["split"], row["speaker"]) for row in silent] == [("train", None)] * 2
    assert counts["split human"] == 1
    assert metrics["voices"] == {
        "heldout": ["piper"],
        "human": ["allison"],
        "phrasing": ["piper"],
        "train": ["piper"],
        "voice": ["espeak-ng"],
    }
    [row] = read_table(spec.uri, splits=["human"]).to_pylist()
    assert (row["text"], row["instruction"], row["response"]) == ("The door is open.", None, None)
    assert (row["source_sample_rate"], row["duration_s"]) == (8000, 2.0)

    monkeypatch.setattr(source, "SOUNDS", tmp_path / "gone")
    assert make_spec(tmp_path, None, demo=demo).fingerprint != spec.fingerprint
    # Planned on one machine, driven on another that lacks the packages.
    with pytest.raises(AuraError, match="apt-get install asterisk-core-sounds-en"):
        ingest.run(spec)
