"""What each way to store teacher states costs in bytes, in error, and in what a student learns."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aura_core.artifacts.manifest import publish_manifest
from aura_core.bench.corpus import sample_rows
from aura_core.bench.parity import state_parity
from aura_core.bench.readout import train_and_spell
from aura_core.cache import build
from aura_core.cache.index import TeacherCache, open_cache
from aura_core.config import TeacherCacheConfig
from aura_core.corpus.table import write_table
from aura_core.device import device_for
from aura_core.evaluation import bootstrap
from aura_core.evaluation.statistic import Floats, ratio
from aura_core.models.teachers import load_teacher
from aura_core.train_config import TrainConfig

# What the sizes are compared with: every layer, fp16, 50 Hz, padded to Whisper's window.
_REFERENCE_FRAMES = 1500
_REFERENCE_BYTES_PER_VALUE = 2
_PARITY_CLIPS = 40

# Name -> what differs from the exact targets (float32, 50 Hz, encoder in fp32, no padding).
EXACT = {"dtype": "float32", "precision": "fp32", "padding": "trim", "rate_hz": 50.0,
         "projection_rank": None, "int8_scale": "frame"}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "exact": {},
    "encoder_bf16": {"precision": "bf16"},
    "fp16": {"dtype": "float16"},
    "bf16": {"dtype": "bfloat16"},
    "int8_frame": {"dtype": "int8"},
    "int8_channel": {"dtype": "int8", "int8_scale": "channel"},
    "int8_12.5hz": {"dtype": "int8", "rate_hz": 12.5},
    "int8_pca256": {"dtype": "int8", "projection_rank": 256},
    "int8_pca128": {"dtype": "int8", "projection_rank": 128},
    "int8_pca64": {"dtype": "int8", "projection_rank": 64},
    "pad_0.5s": {"padding": "0.5s"},
    "pad_30s": {"padding": "30s"},
}


def bench_cache(
    ingest_uri: str,
    config: TeacherCacheConfig,
    student: TrainConfig,
    *,
    names: Sequence[str],
    clips: int | None,
    seeds: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Make a cache with each setting, train the same student on it, and compare.

    Args:
        ingest_uri: an ingest artifact with the splits train and heldout.
        config: the teacher cache as it would be made; it is measured as `default`.
        student: trained on each cache with the same seeds, steps and order of clips.
        names: of `SETTINGS`.
        clips: training utterances; None is all of them.
        seeds: students a setting; training is noisier than most settings are bad.
        tell: gets a line a setting.

    Returns:
        {setting: {bytes_per_audio_hour, bytes_ratio, storage_error, wer, wer_by_seed, ...}}:
        `bytes_ratio` is the share of the reference's bytes, `wer` that of the held-out clips'
        CTC reading, mean over seeds, with an interval over clips. Also `default`, and `parity`:
        how near states under each padding and precision come to Whisper's as it was trained.
    """
    train = sample_rows(ingest_uri, "train", clips)
    heldout = sample_rows(ingest_uri, "heldout", None)
    result: dict[str, Any] = {}
    settings = {name: config.model_copy(update={**EXACT, **SETTINGS[name]}) for name in names}
    with tempfile.TemporaryDirectory(prefix="aura-bench-") as folder:
        ingest = f"{folder}/ingest"
        write_table(ingest, train)  # type: ignore[arg-type]
        for name, setting in {**settings, "default": config}.items():
            twin = _same(setting, settings)
            if name == "default" and twin:
                result[name] = {"setting": twin, **result[twin]}
                continue
            uri = str(Path(folder) / name)
            result[name] = _measure(ingest, uri, setting, student, heldout, seeds)
            tell(f"{name}: {_line(result[name])}")
    return {**result, "parity": state_parity(config, train[:_PARITY_CLIPS])}


def _same(config: TeacherCacheConfig, settings: Mapping[str, TeacherCacheConfig]) -> str | None:
    return next((name for name, other in settings.items() if other == config), None)


def _measure(
    ingest: str,
    uri: str,
    config: TeacherCacheConfig,
    student: TrainConfig,
    heldout: Sequence[Mapping[str, Any]],
    seeds: int,
) -> dict[str, Any]:
    teacher = load_teacher(config.teacher, device_for(None))
    outcome = _, counts, metrics = build.make_cache(teacher, ingest, uri, config)
    publish_manifest(
        uri, outcome, stage="teacher_cache", stage_version=0, fingerprint="",
        identity=config.identity(), inputs={}, provenance={},
    )  # fmt: skip
    errors, words = _train(open_cache(uri), student, heldout, seeds)
    estimate = bootstrap.estimate([ratio(errors.mean(axis=0), words[0])], samples=1000, seed=0)
    assert estimate is not None
    per_clip = _REFERENCE_FRAMES * _REFERENCE_BYTES_PER_VALUE * metrics["width"]
    reference = per_clip * teacher.num_layers * counts["utterances"]
    return {
        "bytes_per_audio_hour": round(counts["size_bytes"] / metrics["duration_s"] * 3600),
        "bytes_ratio": counts["size_bytes"] / reference,
        "storage_error": metrics["storage_error"],
        "wer": estimate.value,
        "wer_low": estimate.low,
        "wer_high": estimate.high,
        "wer_by_seed": (errors.sum(axis=1) / words.sum(axis=1)).round(4).tolist(),
        "n": len(heldout),
    }


def _train(
    cache: TeacherCache, student: TrainConfig, heldout: Sequence[Mapping[str, Any]], seeds: int
) -> tuple[Floats, Floats]:
    """Word errors and words of every seed's student: float64 [seeds, utterances] each."""
    found = [
        train_and_spell(cache, student.model_copy(update={"seed": seed}), heldout)
        for seed in range(seeds)
    ]
    errors, words = zip(*found, strict=True)
    return np.stack(errors), np.stack(words)


def _line(row: Mapping[str, Any]) -> str:
    worst = min(error["mean_cosine"] for error in row["storage_error"].values())
    return (
        f"1/{1 / row['bytes_ratio']:.0f} of the bytes, cosine {worst:.4f}, held-out WER of the "
        f"CTC reading {row['wer']:.3f} ({row['wer_low']:.3f} to {row['wer_high']:.3f})"
    )
