"""What each way to store teacher states costs in bytes, in error, and in what a student learns."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from aura_core.artifacts.manifest import publish_manifest
from aura_core.bench.measure import sample_rows
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import TrainConfig
from aura_core.device import device_for
from aura_core.distil.setup import new_trainer
from aura_core.distil.trainer import Trainer
from aura_core.evaluation import bootstrap
from aura_core.evaluation.bootstrap import Floats, ratio
from aura_core.evaluation.scorers import transcript
from aura_core.ingest.utterances import decode_audio, write_table
from aura_core.models.teachers import load_teacher
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.audio_embedding import EncoderFrames
from aura_core.student.batch import Layout, collate
from aura_core.teacher_cache import build
from aura_core.teacher_cache.build import as_configured
from aura_core.teacher_cache.encode import prepare, teacher_states
from aura_core.teacher_cache.index import TeacherCache, open_cache

# What padding and precision do to the teacher's states, layer by layer.

# Whisper as it was trained, and what differs from it.
AS_TRAINED = {"padding": "30s", "precision": "fp32"}
VARIANTS: dict[str, dict[str, str]] = {
    "trim": {"padding": "trim"},
    "0.5s": {"padding": "0.5s"},
    "1s": {"padding": "1s"},
    "2s": {"padding": "2s"},
    "30s": {},
    "30s_bf16": {"precision": "bf16"},
}


def state_parity(
    config: TeacherCacheConfig, rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Compare the states of clips with those of Whisper as it was trained: 30 s, float32.

    Returns:
        {variant: {layer: mean cosine over the clips' own frames, standardised per channel}},
        and for each `mel_frames`: what the encoder computes, relative to the clips alone.
    """
    full, _ = _states(config, rows, AS_TRAINED)
    own_frames = 2 * len(next(iter(full.values())))
    scale = {layer: torch.std_mean(states, dim=0, correction=0) for layer, states in full.items()}
    result = {}
    for name, changes in VARIANTS.items():
        found, mel_frames = _states(config, rows, {**AS_TRAINED, **changes})
        cosines = {}
        for layer, states in found.items():
            std, mean = scale[layer]
            left, right = ((each - mean) / std for each in (states, full[layer]))
            cosine = functional.cosine_similarity(left, right, dim=-1).mean()
            cosines[str(layer)] = round(float(cosine), 4)
        result[name] = {**cosines, "mel_frames": round(mel_frames / own_frames, 2)}
    return result


def _states(
    config: TeacherCacheConfig, rows: Sequence[Mapping[str, Any]], changes: Mapping[str, str]
) -> tuple[dict[int, Tensor], int]:
    """All clips' own states, one after the other, and the mel frames they took."""
    config = config.model_copy(update={**changes, "layers": None})
    teacher = as_configured(load_teacher(config.teacher, device_for(None)), config)
    clips = [prepare(row, teacher, config) for row in rows]
    states = [dict(teacher_states(teacher, [clip], config)) for clip in clips]
    together = {layer: torch.cat([each[layer][0] for each in states]) for layer in states[0]}
    return together, sum(clip.heard_mel_frames for clip in clips)


# How well a student's audio states spell what was said: one figure for one set of targets.

_BATCH = 20


def train_and_spell(
    cache: TeacherCache,
    config: TrainConfig,
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Floats, Floats]:
    """Train on a cache and count the errors of the greedy CTC reading of `rows`.

    `config` has phases without cross-entropy, which run the adapted blocks only.

    Returns:
        Word errors and reference words, float64 [rows] each.
    """
    trainer = new_trainer(config, cache, device_for(None))
    for _ in trainer.run():
        pass
    spelt: list[str] = []
    for start in range(0, len(rows), _BATCH):
        spelt += _spell(trainer, rows[start : start + _BATCH])
    return transcript.count_errors([row["text"] for row in rows], spelt)


def _spell(trainer: Trainer, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    objective, chat = trainer.objective, trainer.chat
    embedding = objective.student.audio_embedding
    assert embedding is not None
    stem = embedding.stem
    assert not isinstance(stem, EncoderFrames), "a bridge hears no log-mel"
    mels = [log_mel(decode_audio(row["audio"]["bytes"]), stem.num_mels) for row in rows]
    layouts = [
        Layout(chat.prefix, int(embedding.num_tokens(torch.tensor(len(mel)))), [], [])
        for mel in mels
    ]
    device = next(objective.parameters()).device
    with trainer.objective.student.autocast():
        ids = objective.ctc_decode(collate(layouts, mels).to(device))
    return [chat.decode(tokens) for tokens in ids]


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
