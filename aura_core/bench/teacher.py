"""How fast teacher states are made: a naive loop, ours, and the bare encoder, on the same clips."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.model import Whisper

from aura_core.artifacts import store
from aura_core.bench.measure import median_ratio, sample_rows
from aura_core.config.run import TeacherCacheConfig
from aura_core.device import compute_dtype, device_for
from aura_core.ingest.utterances import decode_audio, write_table
from aura_core.models.teachers import load_teacher
from aura_core.models.whisper_encoder import load_whisper
from aura_core.teacher_cache import build
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.encode import batches, chosen_layers, ready_batch
from aura_core.teacher_cache.plan import Plan, ShardPlan, read_utterances

Rows = Sequence[Mapping[str, Any]]
# More than one, so that a worker goes on to the next as it would in a large cache.
_SHARDS_PER_WORKER = 2


def bench_teacher(
    ingest_uri: str,
    config: TeacherCacheConfig,
    *,
    clips: int,
    rounds: int,
    workers: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Time the three on the same clips, in turns, and return medians and ratios.

    - naive: openai-whisper's encoder, one clip at a time, padded to 30 s, on all CPUs (or the
      GPU); nothing is kept.
    - ours: decode, log-mel, encoder, standardise, quantise, measure, write, verify, publish, in
      as many one-thread processes as a run has workers.
    - limit: our encoder's forward on batches made ready before, in the same processes.

    Args:
        ingest_uri: an ingest artifact.
        config: of the teacher cache.
        clips: how many of its training utterances.
        rounds: of all three.
        workers: processes.
        tell: gets a line of progress.

    Returns:
        Audio seconds per second of each (`naive`, `ours`, `limit`), `ratio_vs_naive`,
        `ratio_vs_limit`, and what they were measured on.
    """
    rows = sample_rows(ingest_uri, "train", clips)
    audio_s = sum(row["duration_s"] for row in rows)
    device = device_for(None)
    plain = load_whisper(config.teacher, device)
    size = max(1, len(rows) // (_SHARDS_PER_WORKER * workers))
    config = config.model_copy(update={"shard_utterances": size})
    times: dict[str, list[float]] = {"naive": [], "ours": [], "limit": []}
    with tempfile.TemporaryDirectory(prefix="aura-bench-") as folder:
        write_table(f"{folder}/ingest", rows)  # type: ignore[arg-type]
        plan = build.plan_cache(f"{folder}/ingest", f"{folder}/0", config)
        fit_s = _timed(partial(_fit, folder, plan, config, device))
        with ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _start_worker,
            (folder, plan, config, device),
        ) as pool:
            # Starts every process, and warms what is slow the first time.
            list(pool.map(partial(_warm_up, folder, plan.shards[0]), range(workers)))
            for number in range(1, rounds + 1):
                build_shard = partial(_build, f"{folder}/{number}")
                times["naive"].append(_timed(partial(_naive, plain, rows)))
                times["ours"].append(_timed(partial(_all, pool, build_shard, plan)))
                times["limit"].append(_timed(partial(_all, pool, _forward, plan)))
                speeds = ", ".join(f"{name} {audio_s / t[-1]:.0f}" for name, t in times.items())
                tell(f"round {number} of {rounds}: {speeds} audio seconds a second")
    return {
        **{name: round(audio_s / median(values), 1) for name, values in times.items()},
        "ratio_vs_naive": round(median_ratio(times["naive"], times["ours"]), 2),
        "ratio_vs_limit": round(median_ratio(times["limit"], times["ours"]), 3),
        "codec_fit_s": round(fit_s, 2),
        "clips": len(rows),
        "audio_s": round(audio_s, 1),
        "mean_clip_s": round(audio_s / len(rows), 2),
        "rounds": rounds,
        "teacher": config.teacher,
        "precision": str(compute_dtype(config.precision, plain.device)).removeprefix("torch."),
        "device": device.type,
        "workers": workers,
    }


@torch.inference_mode()
def _naive(model: Whisper, rows: Rows) -> None:
    for row in rows:
        audio = pad_or_trim(decode_audio(row["audio"]["bytes"]))
        mel = log_mel_spectrogram(audio, model.dims.n_mels).to(model.device)
        model.encoder(mel[None]).cpu()


def _fit(folder: str, plan: Plan, config: TeacherCacheConfig, device: torch.device) -> None:
    teacher = build.as_configured(load_teacher(config.teacher, device), config)
    codec = build.fit_sample(teacher, f"{folder}/ingest", plan, config)
    store.write_bytes(f"{folder}/{codecs.NAME}", codecs.to_bytes(codec))


class _Worker:
    """What a process of the pool keeps: a builder, and every shard's batches made ready."""

    def __init__(
        self, folder: str, plan: Plan, config: TeacherCacheConfig, device: torch.device
    ) -> None:
        torch.set_num_threads(1)
        ingest_uri, plain = f"{folder}/ingest", load_teacher(config.teacher, device)
        self.builder = build.open_builder(plain, ingest_uri, folder, config)
        teacher = self.builder.teacher
        self.layers = chosen_layers(config, teacher.num_layers)
        self.ready: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for shard in plan.shards:
            rows = read_utterances(ingest_uri, shard, config.splits)
            made = batches(teacher, rows, config)
            self.ready[shard.name] = [ready_batch(teacher, clips) for clips in made]

    def forward(self, name: str) -> None:
        """Run the encoder on a shard's batches."""
        for mel, lengths in self.ready[name]:
            for _, states in self.builder.teacher.states(mel, lengths, self.layers):
                last = states
            # Waits for a GPU as whoever wants the states would.
            last[0, 0, 0].item()


_worker: _Worker


def _start_worker(
    folder: str, plan: Plan, config: TeacherCacheConfig, device: torch.device
) -> None:
    global _worker  # noqa: PLW0603 - a process of the pool has no other place to keep it
    _worker = _Worker(folder, plan, config, device)


def _warm_up(folder: str, shard: ShardPlan, number: int) -> None:
    for name in _worker.ready:
        _worker.forward(name)
    _build(f"{folder}/warm-{number}", shard)


def _build(uri: str, shard: ShardPlan) -> None:
    replace(_worker.builder, uri=uri).build(shard)


def _forward(shard: ShardPlan) -> None:
    _worker.forward(shard.name)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _all(pool: ProcessPoolExecutor, work: Callable[[ShardPlan], None], plan: Plan) -> None:
    for _ in pool.map(work, plan.shards):
        pass
