"""Time to the first token after the end of speech: heard as it arrives, and all at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from aura_core.bench.latency_models import LatencyModels
from aura_core.bench.measure import Speech, in_turns, median_ratio
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.run import Config
from aura_core.config.stage import MAX_CLIP_S
from aura_core.config.train import TrainConfig
from aura_core.device import synchronise
from aura_core.errors import AuraError
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.student.inference import Responder
from aura_core.student.prompts import Prompt

# What a sound card hands over at once.
PIECE_S = 0.1
_CHUNK_POSITIONS = 10
Mode = Literal["streaming", "whole"]
MODES: tuple[Mode, ...] = ("streaming", "whole")


@dataclass(frozen=True)
class Heard:
    """One clip: seconds from its end to the first token, and the share of it with work to do."""

    ttft_s: float
    busy_share: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    mode: Mode
    seconds: float
    ttft_p50_ms: float
    ttft_p95_ms: float
    busy_share: float  # of the time while speech arrives; above 1 a stream falls behind


def bench_streaming(
    ingest_uri: str,
    config: Config,
    *,
    seconds: Sequence[float],
    chunk_positions: int | None,
    rounds: int,
) -> dict[str, Any]:
    """Time one untrained student of the config in both ways, in turns, on the same real speech.

    Nothing waits for speech in real time: a piece of 0.1 s is pushed when it would arrive or,
    if the machine is not done with the one before, when it is; so what falls behind counts.
    Clips end at all places of a chunk alike, which in every round is the same one for all lengths.

    Args:
        ingest_uri: an ingest artifact; its training clips are joined and cut to length.
        config: `distil` and `teacher_cache` are used; attention that sees the whole clip becomes
            chunked, and the floor of the log-mel fixed.
        seconds: lengths of clips, at most 30; a clip is up to two chunks shorter.
        chunk_positions: None for those of the config, or 10 where it has none.
        rounds: how many.

    Returns:
        `ttft_30s_vs_5s` and the like (streaming, the longest over the shortest, median of the
        rounds' own ratios), `whole_ttft_30s_vs_5s`, `streaming_vs_whole` for every length, a
        `table` (rows as `Row`), and what it was measured on.

    Raises:
        AuraError: for lengths, a chunk or a number of rounds that cannot be.
    """
    distil = streaming_config(config.distil, chunk_positions)
    check_lengths(distil, seconds, rounds)
    speech = Speech(ingest_uri)
    latency_models = LatencyModels(distil, config.teacher_cache, config.evaluate.asr, speech)
    name = "aura_gated" if distil.lora.positions == "audio" else "aura_merged"
    responder = latency_models.build(name).responder
    found: dict[tuple[Mode, float], list[Heard]] = {}
    with tqdm(total=rounds + 1, desc="streaming", unit="round") as progress:
        _round(responder, latency_models.device, speech, distil, seconds, (0, rounds))  # warms up
        progress.update()
        for number in range(rounds):
            turn = (number, rounds)
            heard = _round(responder, latency_models.device, speech, distil, seconds, turn)
            for key, each in heard.items():
                found.setdefault(key, []).append(each)
            progress.update()
    return {
        **_ratios(found, sorted(seconds)),
        "table": [
            asdict(_row(mode, each, found[mode, each])) for each in seconds for mode in MODES
        ],
        "model": name,
        "chunk_positions": distil.distillation.seen_positions,
        "token_rate_hz": distil.audio_embedding.token_rate_hz,
        "piece_s": PIECE_S,
        "rounds": rounds,
        **latency_models.measured_on,
    }  # fmt: skip


def streaming_config(config: TrainConfig, chunk_positions: int | None) -> TrainConfig:
    """The student as it would be trained to hear a stream.

    Raises:
        AuraError: for chunks of less than two positions, or beside causal attention.
    """
    distillation = config.distillation
    if chunk_positions is not None and chunk_positions < 2:
        raise AuraError("--chunk-positions: whole numbers from 2")
    if chunk_positions is not None and distillation.attention == "causal":
        raise AuraError("--chunk-positions: distil.distillation.attention is causal, no chunks")
    if distillation.attention != "causal":
        chunk = chunk_positions or distillation.chunk_positions or _CHUNK_POSITIONS
        changes = {"attention": "chunked", "chunk_positions": chunk}
        distillation = distillation.model_copy(update=changes)
    embedding = config.audio_embedding.model_copy(update={"log_mel_floor": "fixed"})
    return config.model_copy(update={"distillation": distillation, "audio_embedding": embedding})


def check_lengths(config: TrainConfig, seconds: Sequence[float], rounds: int) -> None:
    """Refuse what cannot be measured, before anything is loaded or made. Raises AuraError."""
    if rounds < 1:
        raise AuraError("--rounds: whole numbers from 1")
    least = 2 * _chunk_s(config)
    if len(set(seconds)) < 2 or not all(least <= each <= MAX_CLIP_S for each in seconds):
        raise AuraError(
            f"--seconds: at least two lengths, from {least:g} (two chunks) to {MAX_CLIP_S:g}"
        )


def clip_s(config: TrainConfig, seconds: float, share: float) -> float:
    """Length of a clip of about `seconds` that ends `share` of a chunk before the end of one."""
    chunk_s = _chunk_s(config)
    # A little more, as 30 s of chunks of 0.8 s may come to 37.49999.
    whole = int(seconds / chunk_s + 1e-6)
    return (whole - share) * chunk_s


def _chunk_s(config: TrainConfig) -> float:
    return (config.distillation.chunk_positions or 1) / config.audio_embedding.token_rate_hz


def _round(
    responder: Responder,
    device: torch.device,
    speech: Speech,
    config: TrainConfig,
    seconds: Sequence[float],
    turn: tuple[int, int],
) -> dict[tuple[Mode, float], Heard]:
    """Time every length in both modes, in an order that moves on from round to round."""
    number, rounds = turn
    heard = {}
    for mode, each in in_turns(list(product(MODES, seconds)), number):
        length_s = clip_s(config, each, number / rounds)
        [audio] = speech.clips(length_s, 1, number).audios
        timed = time_stream if mode == "streaming" else time_whole
        heard[mode, each] = timed(responder, audio, device)
    return heard


def time_whole(responder: Responder, audio: NDArray[np.float32], device: torch.device) -> Heard:
    """Time a clip, samples at 16 kHz, that is given at once when it is over."""
    synchronise(device)
    began = perf_counter()
    prompt = Prompt(TRANSCRIBE, responder.extract_features([audio])[0])
    next(responder.stream([prompt], 1))
    synchronise(device)
    return Heard(perf_counter() - began, 0.0)


def time_stream(responder: Responder, audio: NDArray[np.float32], device: torch.device) -> Heard:
    """Time a clip, samples at 16 kHz, that arrives piece by piece."""
    stream = responder.streaming()
    synchronise(device)
    piece = round(PIECE_S * SAMPLE_RATE)
    duration_s = len(audio) / SAMPLE_RATE
    free_s = busy_s = 0.0  # since speech began: when all that has arrived is worked through
    for start in range(0, len(audio), piece):
        samples = audio[start : start + piece]
        began = perf_counter()
        stream.push(samples)
        synchronise(device)
        took_s = perf_counter() - began
        free_s = max(free_s, (start + len(samples)) / SAMPLE_RATE) + took_s
        busy_s += took_s
    began = perf_counter()
    next(stream.stream(TRANSCRIBE, 1))
    synchronise(device)
    return Heard(free_s + perf_counter() - began - duration_s, busy_s / duration_s)


def _ratios(
    found: dict[tuple[Mode, float], list[Heard]], seconds: Sequence[float]
) -> dict[str, Any]:
    ttft_s = {key: [each.ttft_s for each in heard] for key, heard in found.items()}
    shortest, longest = seconds[0], seconds[-1]
    name = f"ttft_{longest:g}s_vs_{shortest:g}s"

    def ratio(ours: tuple[Mode, float], theirs: tuple[Mode, float]) -> float:
        return round(median_ratio(ttft_s[ours], ttft_s[theirs]), 3)

    return {
        name: ratio(("streaming", longest), ("streaming", shortest)),
        f"whole_{name}": ratio(("whole", longest), ("whole", shortest)),
        "streaming_vs_whole": {
            f"{each:g}s": ratio(("streaming", each), ("whole", each)) for each in seconds
        },
    }


def _row(mode: Mode, seconds: float, heard: Sequence[Heard]) -> Row:
    ttft_ms = [1000 * each.ttft_s for each in heard]
    return Row(
        mode=mode,
        seconds=seconds,
        ttft_p50_ms=round(median(ttft_ms), 2),
        ttft_p95_ms=round(float(np.percentile(ttft_ms, 95)), 2),
        busy_share=round(median(each.busy_share for each in heard), 3),
    )
