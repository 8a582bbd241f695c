"""How fast teacher states are made: a naive loop, ours, and the bare encoder, on the same clips."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.model import Whisper

from aura_core.bench.corpus import sample_rows
from aura_core.cache import build
from aura_core.cache.encode import batches, chosen_layers, ready_batch
from aura_core.config import TeacherCacheConfig
from aura_core.corpus.table import decode_audio, write_table
from aura_core.models.whisper_encoder import encoder_states, load_whisper, set_encoder_dtype
from aura_core.precision import compute_dtype
from aura_core.read_ahead import read_ahead

Rows = Sequence[Mapping[str, Any]]


def bench_teacher(
    ingest_uri: str,
    config: TeacherCacheConfig,
    *,
    clips: int,
    rounds: int,
    threads: int,
    device: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Time the three on the same clips, in turns, and return medians and ratios.

    - naive: openai-whisper's encoder, one clip at a time, padded to 30 s; nothing is kept.
    - ours: decode, log-mel, encoder, standardise, quantise, measure, write, verify, publish.
    - limit: our encoder's forward on batches made ready before, in the faster of two ways to
      use the threads (one batch on all, or a batch on each).

    Args:
        ingest_uri: an ingest artifact.
        config: of the teacher cache.
        clips: how many of its training utterances.
        rounds: of all three.
        threads: CPU threads.
        device: "cpu" or "cuda".
        tell: gets a line of progress.

    Returns:
        Audio seconds per second of each (`naive`, `ours`, `limit`), `ratio_vs_naive`,
        `ratio_vs_limit`, and what they were measured on.
    """
    rows = sample_rows(ingest_uri, "train", clips)
    audio_s = sum(row["duration_s"] for row in rows)
    plain = load_whisper(config.teacher, device)
    teacher = load_whisper(config.teacher, device)
    dtype = compute_dtype(config.precision, teacher.device)
    set_encoder_dtype(teacher, dtype)
    # So that every thread has shards to make, as it would in a large cache.
    shards = min(config.shard_utterances, max(1, len(rows) // (4 * threads)))
    config = config.model_copy(update={"shard_utterances": shards})
    ready = [ready_batch(teacher, batch) for batch in batches(teacher, rows, config)]
    times: dict[str, list[float]] = {"naive": [], "ours": [], "limit": []}
    with tempfile.TemporaryDirectory(prefix="aura-bench-") as folder:
        made = _Ours(teacher, rows, config, folder)
        for number in range(rounds):
            times["naive"].append(_timed(lambda: _naive(plain, rows), threads))
            times["ours"].append(_timed(partial(made.run, number, threads), 1))
            times["limit"].append(
                min(
                    _timed(lambda: _forward(teacher, ready, config, 1), threads),
                    _timed(lambda: _forward(teacher, ready, config, threads), 1),
                )
            )
            speeds = ", ".join(f"{name} {audio_s / t[-1]:.0f}" for name, t in times.items())
            tell(f"round {number + 1} of {rounds}: {speeds} audio seconds a second")
    speed = {name: audio_s / median(values) for name, values in times.items()}
    return {
        **{name: round(value, 1) for name, value in speed.items()},
        "ratio_vs_naive": round(speed["ours"] / speed["naive"], 2),
        "ratio_vs_limit": round(speed["ours"] / speed["limit"], 3),
        "codec_fit_s": round(made.fit_s, 2),
        "clips": len(rows),
        "audio_s": round(audio_s, 1),
        "mean_clip_s": round(audio_s / len(rows), 2),
        "rounds": rounds,
        "teacher": config.teacher,
        "precision": str(dtype).removeprefix("torch."),
        "device": device,
        "threads": threads,
    }


class _Ours:
    """A cache made anew in every round, from the same plan and codec."""

    def __init__(
        self, teacher: Whisper, rows: Rows, config: TeacherCacheConfig, folder: str
    ) -> None:
        self._teacher, self._config, self._folder = teacher, config, folder
        self._ingest_uri = f"{folder}/ingest"
        write_table(self._ingest_uri, list(rows))  # type: ignore[arg-type]
        self._plan = build.plan_cache(self._ingest_uri, f"{folder}/plan", config)
        started = time.perf_counter()
        self._codec = build.fit_sample(teacher, self._ingest_uri, self._plan, config)
        self.fit_s = time.perf_counter() - started

    def run(self, number: int, threads: int) -> None:
        builder = build.Builder(
            self._teacher,
            self._ingest_uri,
            f"{self._folder}/{number}",
            self._config,
            self._codec,
            "",
        )
        for _ in read_ahead(self._plan.shards, builder.build, threads=threads, depth=threads):
            pass


@torch.inference_mode()
def _naive(model: Whisper, rows: Rows) -> None:
    for row in rows:
        audio = pad_or_trim(decode_audio(row["audio"]["bytes"]))
        mel = log_mel_spectrogram(audio, model.dims.n_mels).to(model.device)
        model.encoder(mel[None]).cpu()


def _forward(
    teacher: Whisper,
    ready: Sequence[tuple[Tensor, Tensor]],
    config: TeacherCacheConfig,
    threads: int,
) -> None:
    layers = chosen_layers(config, teacher.dims.n_audio_layer)

    def encode(batch: tuple[Tensor, Tensor]) -> None:
        encoder_states(teacher, *batch, layers)

    for _ in read_ahead(ready, encode, threads=threads, depth=threads):
        pass
    if teacher.device.type == "cuda":
        torch.cuda.synchronize()


def _timed(work: Callable[[], None], torch_threads: int) -> float:
    with _torch_threads(torch_threads):
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
