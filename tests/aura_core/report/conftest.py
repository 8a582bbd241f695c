import json
import math

import numpy as np
import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, provenance, write_manifest
from aura_core.benchmarks.item import BenchmarkItem, write_items
from aura_core.config.recipes import smoke
from aura_core.evaluation.results import Difference, Row, write_results
from aura_core.evaluation.scorers.scorer import Prediction, write_predictions
from aura_core.ingest.utterances import encode_audio, write_table

STAGES = ("ingest", "teacher_cache", "text_lora", "distil", "evaluate")
# Enough to compare models by, and too few.
SPLITS = {"heldout": 12, "voice": 3}
BENCHMARK = "spoken_choice"
CONDITIONS = ("clean", "noise 20 dB", "noise 10 dB", "noise 5 dB")


def tone(duration_s: float, pitch_hz: float) -> np.ndarray:
    """A voiced sound that swells and fades four times a second."""
    time_s = np.arange(int(16_000 * duration_s)) / 16_000
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * time_s)
    harmonics = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in (1, 2, 3))
    return (0.2 * swell * harmonics).astype(np.float32)


def utterance(split: str, number: int, text: str, response: str | None) -> dict:
    if response and number % 2:
        response = response.replace("switch", "dim")
    flac, digest = encode_audio(tone(0.6 + 0.1 * (number % 5), 110 + 20 * (number % 5)))
    return {
        "id": f"{split}-{number}", "text": text, "instruction": "What is wanted?",
        "response": response, "speaker": "joe", "split": split, "family": None,
        "duration_s": 0.6 + 0.1 * (number % 5), "source_sample_rate": 16_000, "avg_logprob": None,
        "audio": {"bytes": flac, "path": "a.flac"}, "digest": digest,
    }  # fmt: skip


def training_metrics(blocks: tuple[int, ...], phases: tuple[str, ...]) -> str:
    lines = []
    for step in range(20 * len(phases)):
        by_block = {str(block): math.exp(-step / (10 * block)) for block in blocks}
        record = {
            "step": step, "phase": phases[step // 20], "loss": 1.0, "ce": 2.0 / (1 + step),
            "distil_blocks": by_block, "samples_per_s": 8.0, "elapsed_s": 2.0 * step,
            "seconds": {"forward": 1.5, "backward": 0.5},
        }  # fmt: skip
        if by_block:
            record["distil"] = sum(by_block.values()) / len(by_block)
        lines.append(json.dumps(record) + "\n")
    return "".join(lines)


def build(root: str, text: str, response: str | None, phase: str, reason: str) -> dict[str, str]:
    """Artifacts of a whole run whose texts are the given ones; returns their URIs."""
    uris = {stage: store.join(root, stage) for stage in STAGES}
    rows = [utterance(s, i, f"{text} {i}", response) for s, n in SPLITS.items() for i in range(n)]
    write_table(uris["ingest"], rows)
    rejected = {"id": reason, "path": "x.wav", "reason": reason}
    store.write_text(store.join(uris["ingest"], "rejected.jsonl"), json.dumps(rejected) + "\n")
    store.write_text(
        store.join(uris["distil"], "metrics.jsonl"), training_metrics((2, 4), ("align", phase))
    )
    store.write_text(
        store.join(uris["text_lora"], "metrics.jsonl"), training_metrics((), ("text",))
    )
    _evaluation(uris["evaluate"], rows)
    uris[f"benchmark.{BENCHMARK}"] = store.join(root, "benchmark")
    _benchmark(uris[f"benchmark.{BENCHMARK}"], uris["evaluate"], text)
    config = smoke()
    for name, uri in uris.items():
        stage, _, benchmark = name.partition(".")
        settings = {"name": benchmark} if benchmark else getattr(config, stage).identity()
        write_manifest(
            uri,
            Manifest(
                stage=stage, stage_version=1, fingerprint=store.xxh3(name.encode()) * 2,
                identity={**settings, "note": reason}, inputs={} if stage != "evaluate" else uris,
                files=[], counts={"utterances": 8}, metrics={"parity": {"layer_04": 0.9571}},
                provenance=provenance(),
            ),
        )  # fmt: skip
    return uris


def _evaluation(uri: str, rows: list[dict]) -> None:
    figures = []
    for model, error in {"aura": 0.3, "cascade": 0.1, "text": 0.0}.items():
        for split, n in SPLITS.items():
            interval = {"ci_low": error / 2, "ci_high": error * 1.2, "n": n}
            task = f"transcribe/{split}"
            figures.append(Row(model=model, task=task, metric="wer", value=error, **interval))
            for name, target in (("transcribe", "text"), ("respond", "response")):
                predictions = [
                    Prediction(
                        id=row["id"], references=(row[target],),
                        prediction=f"{row[target]} {model}",
                        transcript=row["text"] if model == "cascade" else None,
                    )
                    for row in rows
                    if row["split"] == split and row[target] is not None
                ]  # fmt: skip
                path = f"predictions/{model}.{split}.{name}.jsonl"
                if predictions:
                    write_predictions(store.join(uri, path), predictions)
                # Another student of an ablation, which hears as AuRA does.
                if predictions and model == "aura":
                    further = path.replace("aura.", "bridge-seed-0.")
                    write_predictions(store.join(uri, further), predictions)
        figures.append(
            Row(model=model, task="latency", metric="ttft_ms_p50", value=100 + 900 * error,
                ci_low=90, ci_high=400, n=3)
        )  # fmt: skip
    figures += [
        Row(model=model, task=BENCHMARK, metric="acc", value=0.5, ci_low=0.2, ci_high=0.8, n=2,
            slice=cut)
        for model in ("aura", "cascade", "text")
        for cut in (None, *(f"condition={condition}" for condition in CONDITIONS))
    ]  # fmt: skip
    differences = [
        Difference(
            model="aura", other="cascade", task=f"transcribe/{split}", metric="wer", value=0.2,
            ci_low=0.1, ci_high=0.3, p_value=p_value, n=n,
        )
        for (split, n), p_value in zip(SPLITS.items(), (0.01, None), strict=True)
    ]  # fmt: skip
    write_results(uri, figures, differences)
    timings = [
        {"model": m, "id": str(i), "duration_s": 1.0, "ttft_ms": base + i}
        for i in range(3)
        for m, base in (("aura", 200), ("cascade", 700), ("text", 90))
    ]
    store.write_text(
        store.join(uri, "latency.jsonl"), "".join(json.dumps(line) + "\n" for line in timings)
    )


def _benchmark(uri: str, evaluate_uri: str, text: str) -> None:
    flac, _ = encode_audio(tone(0.7, 150))
    items = [
        BenchmarkItem(
            id=f"choice-{number}", text=f"Which one, {text}?", prompt_text="Choose.",
            references=("A",), audio=flac, choices={"A": text, "B": "other"},
            extra={"condition": CONDITIONS[number]},
        )
        for number in range(len(CONDITIONS))
    ]  # fmt: skip
    write_items(uri, items)
    for model, said in {"aura": "B", "cascade": "A", "text": "A"}.items():
        predictions = [
            Prediction(id=item.id, references=item.references, prediction=said,
                       choices=item.choices, extra=item.extra)
            for item in items
        ]  # fmt: skip
        path = f"predictions/{model}.{BENCHMARK}.jsonl"
        write_predictions(store.join(evaluate_uri, path), predictions)


@pytest.fixture(scope="session")
def report_inputs(tmp_path_factory):
    """A run with ordinary texts."""
    root = str(tmp_path_factory.mktemp("report"))
    return build(root, "turn the lamp on", "switch; state=on", "learn", "empty file")


@pytest.fixture(scope="session")
def build_run():
    return build
