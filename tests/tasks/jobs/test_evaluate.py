"""The evaluation on real Ray, with real (untrained) models on real speech."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import ray
import soxr
import torch
from piper import PiperVoice, SynthesisConfig

from aura_core.artifacts.digest import fingerprint
from aura_core.benchmarks.item import BenchmarkItem, write_items
from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.run import EvaluateConfig
from aura_core.config.stage import Runtime
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.device import compute_dtype, device_for, precision_name
from aura_core.evaluation.cells import plan_cells
from aura_core.evaluation.find import AUTO_PRECISION
from aura_core.evaluation.items import TASK_SCORERS, QuestionSet
from aura_core.evaluation.results import read_results, read_table
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.ingest.utterances import encode_audio, write_table
from aura_core.models.llm import load_llm
from aura_core.models.pinned import locate
from aura_core.models.whisper_encoder import load_whisper
from aura_core.stages import StageSpec
from aura_core.student.assembly import new_student, save_student
from aura_core.student.audio_embedding import new_stem
from tasks.jobs import evaluate

CPU = torch.device("cpu")

SENTENCES = {
    "heldout": ("turn on the kitchen lamp", "switch; state=on; room=kitchen; item=lamp"),
    "voice": ("set a timer for twelve minutes", "timer; count=twelve; unit=minutes"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An ingest artifact and two untrained students."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_table(str(folder / "ingest"), utterances())
    stem = load_whisper("pinned:whisper-tiny.en", CPU).encoder.state_dict()
    names = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "positional_embedding")
    ear = {name: stem[name] for name in names}
    for stage, listens_to in (("text_lora", "text"), ("distil", "audio")):
        config = TrainConfig(
            input=listens_to,
            chat_template=SHORT_CHATML,
            lora=LoraConfig(
                rank=2,
                alpha=2,
                blocks=1,
                targets=("q_proj",),
                positions="audio" if listens_to == "audio" else "all",
            ),
            phases=(Phase(name="none", steps=1, distil=0),),
        )
        llm, _ = load_llm(config.llm, torch.float32)
        hears = listens_to == "audio"
        student = new_student(config, llm, (lambda: new_stem("teacher", ear)) if hears else None)
        save_student(student, config, folder / stage)
    return folder


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    yield
    ray.shutdown()


def utterances():
    voice = PiperVoice.load(locate("joe-medium"))
    for split, (text, response) in SENTENCES.items():
        chunks = list(voice.synthesize(text, SynthesisConfig(noise_scale=0, noise_w_scale=0)))
        audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
        flac, digest = encode_audio(soxr.resample(audio, chunks[0].sample_rate, 16_000))
        yield {
            "id": f"{split}-0",
            "text": text,
            "instruction": "What is wanted?",
            "response": response,
            "speaker": None,
            "split": split,
            "family": None,
            "duration_s": len(audio) / chunks[0].sample_rate,
            "source_sample_rate": chunks[0].sample_rate,
            "avg_logprob": None,
            "audio": {"bytes": flac, "path": f"{split}-0.flac"},
            "digest": digest,
        }


def make_spec(root, benchmarks=(), **settings):
    config = EvaluateConfig(
        max_new_tokens=3, latency_items=2, bootstrap_samples=100, runtime=Runtime(workers=2)
    ).model_copy(update=settings)
    identity = {**config.identity(), "pinned": {"asr": "0" * 64}}
    read = ("ingest", "text_lora", "distil", *benchmarks)
    inputs = {name: fingerprint(name, 1, {}, {}) for name in read}
    value = fingerprint("evaluate", 1, identity, inputs)
    return StageSpec(
        name="evaluate",
        stage="evaluate",
        stage_version=1,
        fingerprint=value,
        uri=str(root / "evaluate" / value[:12]),
        root=str(root),
        identity=identity,
        inputs={stage: str(root / stage) for stage in inputs},
        input_fingerprints=inputs,
        runtime=config.runtime,
    )


@pytest.fixture(scope="module")
def first_run(root):
    """An evaluation of one split."""
    spec = make_spec(root, splits=("heldout",))
    return spec, *evaluate.run(spec)


def test_every_model_gets_its_rows(first_run):
    spec, _, counts, metrics = first_run
    rows = read_results(spec.uri)
    figures = {(row.model, row.task, row.metric) for row in rows}
    for model in ("aura", "cascade", "text"):
        assert (model, "transcribe/heldout", "wer") in figures
        assert (model, "respond/heldout", "slot_f1") in figures
        assert (model, "latency", "ttft_ms_p50") in figures
    assert counts == {"cells": 7, "cells_made": 7, "clips_timed": 1}
    assert metrics["asr.transcribe/heldout.wer"] <= 0.6
    here = precision_name(compute_dtype("auto", device_for(None)))
    assert metrics[AUTO_PRECISION] == here
    assert all(row.ci_low <= row.value <= row.ci_high for row in rows)
    compared = {(d.task, d.metric, d.other) for d in read_table(spec.uri).differences}
    assert compared == {
        *(("transcribe/heldout", "wer", other) for other in ("asr", "cascade", "text")),
        *(("respond/heldout", "exact_match", other) for other in ("cascade", "text")),
    }


def test_what_is_published_is_listed(first_run):
    spec, files, _, _ = first_run
    published = {p.relative_to(spec.uri).as_posix() for p in files_below(spec.uri)}
    assert published == set(files)
    lines = (Path(spec.uri) / "predictions/cascade.heldout.respond.jsonl").read_text()
    prediction = json.loads(lines)
    assert prediction["id"] == "heldout-0"
    assert prediction["references"] == [SENTENCES["heldout"][1]]
    assert "kitchen" in prediction["transcript"]


def test_a_new_split_runs_its_own_cells_and_a_new_scoring_none(root, first_run):
    before = {path: path.stat().st_mtime_ns for path in files_below(root / "cells")}
    spec = make_spec(root, splits=("heldout", "voice"), bootstrap_samples=150)
    _, counts, metrics = evaluate.run(spec)
    assert counts == {"cells": 14, "cells_made": 7, "clips_timed": 2}
    assert all(path.stat().st_mtime_ns == mtime_ns for path, mtime_ns in before.items())
    old = {name: value for name, value in first_run[3].items() if "latency" not in name}
    assert old.items() <= metrics.items()


def test_a_new_benchmark_runs_its_own_cells_and_is_cut_into_slices(root, first_run):
    items = [
        BenchmarkItem(
            id=f"{i}.{row['id']}",
            text=row["text"],
            prompt_text="Answer with the letter.",
            references=("B",),
            audio=row["audio"]["bytes"],
            choices={"A": "on", "B": "off"},
            extra={"condition": f"no. {i}"},
        )
        for i in range(2)
        for row in utterances()
    ]
    name = "benchmark.spoken_choice"
    write_items(str(root / name), items)
    spec = make_spec(root, splits=("heldout",), benchmarks=(name,))
    _, counts, _ = evaluate.run(spec)
    assert (counts["cells"], counts["cells_made"]) == (11, 4)
    rows = {(r.model, r.metric, r.slice): r for r in read_results(spec.uri) if "choice" in r.task}
    assert rows["aura", "acc", None].n == 4
    assert rows["aura", "acc", "condition=no. 1"].n == 2
    assert rows["asr", "wer", None].task == "transcribe/spoken_choice"
    assert {p.name for p in files_below(spec.uri)} >= {"cascade.spoken_choice.jsonl"}


def test_texts_are_read_by_every_llm_and_a_gate_changes_nothing(root, first_run):
    texts = {"text_choice": {"A": "on", "B": "off"}, "text_perplexity": None}
    for name, choices in texts.items():
        items = [
            BenchmarkItem(f"{split}-0", text, "", ("A",), audio=None, choices=choices)
            for split, (text, _) in SENTENCES.items()
        ]
        write_items(str(root / f"benchmark.{name}"), items)
    benchmarks = [f"benchmark.{name}" for name in texts]
    spec = make_spec(root, splits=("heldout",), benchmarks=benchmarks)
    _, counts, _ = evaluate.run(spec)
    assert (counts["cells"], counts["cells_made"]) == (7 + 6, 6)
    rows = {(r.model, r.task, r.metric): r.value for r in read_results(spec.uri)}
    perplexity = {m: rows[m, "text_perplexity", "perplexity"] for m in ("base", "text", "aura")}
    assert perplexity["aura"] == perplexity["text"] > 1
    assert ("cascade", "text_choice", "acc") not in rows
    differences = {(d.task, d.other): d for d in read_table(spec.uri).differences}
    same = differences["text_perplexity", "text"]
    assert same.value == same.ci_low == same.ci_high == 0
    assert ("text_choice", "base") in differences


def test_an_asr_is_not_scored_against_its_own_transcripts(tmp_path):
    spec = make_spec(tmp_path)
    asked = {"transcribe/heldout": "transcribe", "respond/heldout": "respond"}
    sets = [
        QuestionSet(name, "ingest", TASK_SCORERS[task], task, "heldout")
        for name, task in asked.items()
    ]
    cells = plan_cells(spec, EvaluateConfig(), sets)
    said = [Prediction(id=f"u{i}", references=("yes",), prediction="yes") for i in range(12)]
    answers = {cell.label: said for cell in cells}
    rows, compared = evaluate._score(EvaluateConfig(), cells, answers, {"transcribe/heldout"})
    scored = {(row.model, row.task) for row in rows}
    assert {model for model, task in scored if task == "transcribe/heldout"} == {"aura", "text"}
    assert ("cascade", "respond/heldout") in scored
    assert {(each.task, each.other) for each in compared} == {
        ("transcribe/heldout", "text"),
        ("respond/heldout", "cascade"),
        ("respond/heldout", "text"),
    }
    everything, _ = evaluate._score(EvaluateConfig(), cells, answers, ())
    assert {row.model for row in everything if row.task == "transcribe/heldout"} == {
        "asr", "aura", "cascade", "text",
    }  # fmt: skip


def test_it_imports_no_training_code():
    code = "import sys, tasks.jobs.evaluate; print([m for m in sys.modules if 'distillation' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def files_below(folder):
    return [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
