import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, read_manifest, write_manifest
from aura_core.config.stage import Runtime
from aura_core.evaluation.results import Row, write_results
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions
from aura_core.ingest.utterances import encode_audio, write_table
from aura_core.stages import StageSpec

INPUTS = ("ingest", "teacher_cache", "text_lora", "distil", "evaluate")


@pytest.fixture
def spec(tmp_path):
    """A report's spec over the smallest artifacts there can be: one utterance, one model."""
    root = str(tmp_path)
    inputs = {stage: store.join(root, stage, "0" * 12) for stage in INPUTS}
    flac, digest = encode_audio(0.1 * np.sin(np.arange(16_000) / 10).astype(np.float32))
    row = {
        "id": "a", "text": "press one", "instruction": None, "response": None, "speaker": None,
        "split": "heldout", "family": None, "duration_s": 1.0, "source_sample_rate": 16_000,
        "avg_logprob": None, "audio": {"bytes": flac, "path": "a.flac"}, "digest": digest,
    }  # fmt: skip
    write_table(inputs["ingest"], [row])
    evaluate = inputs["evaluate"]
    heard = Prediction(id="a", references=("press one",), prediction="press on")
    write_predictions(store.join(evaluate, "predictions/aura.heldout.transcribe.jsonl"), [heard])
    wer = {"value": 0.5, "ci_low": 0.5, "ci_high": 0.5, "n": 1}
    write_results(evaluate, [Row(model="aura", task="transcribe/heldout", metric="wer", **wer)])
    for stage, uri in inputs.items():
        write_manifest(
            uri,
            Manifest(stage=stage, stage_version=1, fingerprint="0" * 64, identity={}, inputs={},
                     files=[]),
        )  # fmt: skip
    made = StageSpec(
        name="report",
        stage="report", stage_version=1, fingerprint="1" * 64,
        uri=store.join(root, "report", "1" * 12), root=root,
        identity={"samples": 20, "pinned": {}}, inputs=inputs,
        input_fingerprints=dict.fromkeys(INPUTS, "0" * 64), runtime=Runtime(),
    )  # fmt: skip
    store.write_text(made.spec_uri, made.model_dump_json())
    return made


def drive(spec):
    return subprocess.run(
        [sys.executable, "-m", "tasks.jobs.report", "--spec", spec.spec_uri],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_driver_publishes_the_page_and_its_tables(spec):
    done = drive(spec)
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(spec.uri)
    assert [entry.path for entry in manifest.files] == [
        "report.html", "results.md", "results.parquet",
    ]  # fmt: skip
    html = store.read_text(store.join(spec.uri, "report.html"))
    assert manifest.counts == {"figures": 1, "size_bytes": len(html.encode())}
    assert "| heldout | 50.0 (50.0 to 50.0) | 1 |" in store.read_text(
        store.join(spec.uri, "results.md")
    )
    (row,) = pq.read_table(store.join(spec.uri, "results.parquet")).to_pylist()
    assert (row["value"], row["report"], dict(row["inputs"])["ingest"]) == (
        0.5, "1" * 64, "0" * 64,
    )  # fmt: skip
    assert html.startswith("<!doctype html>")
    assert "press one" in html


def test_a_damaged_input_is_one_line_for_the_user(spec):
    store.write_text(store.join(spec.inputs["evaluate"], "results.json"), "{")
    done = drive(spec)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "results.json is damaged" in done.stderr
    assert read_manifest(spec.uri) is None
