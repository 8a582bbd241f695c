"""Time to the first token, and what it costs: AuRA, a bridge, a cascade, text, on one LLM."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import DynamicCache

from aura_core.bench.latency_models import (
    MODELS,
    TimedModel,
    Workshop,
    num_positions,
    prefill_text,
)
from aura_core.bench.prefill_cost import cache_bytes, count_flops, peak_bytes, weight_bytes
from aura_core.bench.rounds import in_turns, median_ratio
from aura_core.bench.speech import Speech
from aura_core.config import Config
from aura_core.device import synchronise
from aura_core.errors import AuraError
from aura_core.suggestions import unknown

NEW_TOKENS = 32
AURA = "aura_merged"
TEXT_PREFILL = "text_prefill"
_MAX_SECONDS = 30
# Whole answers are timed in so many rounds: they take long, and vary less than first tokens.
_ANSWER_ROUNDS = 3
# What starts an answer of so many tokens, and fills a cache.
Start = Callable[[int, DynamicCache], Iterator[Tensor]]


@dataclass(frozen=True)
class Setting:
    """What the models are given: clips of one length, so many at once."""

    seconds: float
    batch: int


@dataclass(frozen=True)
class Cost:
    """One prefill of one batch, apart from its time."""

    positions: int  # of the longest prompt, in the last block
    prefill_gflop: float
    kv_cache_bytes: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    seconds: float
    batch: int
    ttft_p50_ms: float
    ttft_p95_ms: float
    answer_s: float | None  # NEW_TOKENS tokens, first one included; median
    prefill_gflop: float
    peak_memory_bytes: int
    kv_cache_bytes: int
    positions: int
    audio_tokens_per_second_of_audio: float | None
    audio_tokens_per_s: float | None  # of the whole batch, over the median TTFT


def bench_latency(
    ingest_uri: str,
    config: Config,
    *,
    seconds: Sequence[float],
    batches: Sequence[int],
    rounds: int,
    names: Sequence[str],
) -> dict[str, Any]:
    """Time untrained models in turns on the same real speech.

    Args:
        ingest_uri: an ingest artifact; its training clips are joined and cut to length.
        config: `distil`, `teacher_cache` (the bridge's encoder) and `evaluate.asr` are used.
        seconds: lengths of clips, at most 30.
        batches: clips at once.
        rounds: how many, each with other clips; in each, all models take their turn.
        names: of `MODELS`.

    Returns:
        `table` (rows as `Row`), at batch 1 `ttft_5s` and the like for every length (`vs_NAME`:
        the median over rounds of AuRA's time, merged, over the other's), and what it was
        measured on.

    Raises:
        AuraError: for a length, a batch, a number of rounds or a name that cannot be.
    """
    check_settings(seconds, batches, rounds, names)
    speech = Speech(ingest_uri)
    workshop = Workshop(config.distil, config.teacher_cache, config.evaluate.asr, speech)
    models = {name: workshop.build(name) for name in names}
    settings = [Setting(*each) for each in product(seconds, batches)]
    table: list[Row] = []
    ratios: dict[str, dict[str, float]] = {}
    with tqdm(total=len(settings) * (rounds + 1), desc="latency", unit="round") as progress:
        for setting in settings:
            timed = _Rounds(workshop, models, speech, setting)
            costs = timed.costs()
            progress.update()
            for number in range(rounds):
                timed.run(number)
                progress.update()
            table += [timed.row(name, cost) for name, cost in costs.items()]
            if setting.batch == 1 and AURA in names:
                ratios[f"ttft_{setting.seconds:g}s"] = timed.ratios()
    return {
        **ratios,
        "table": [asdict(row) for row in table],
        "rounds": rounds,
        "new_tokens": NEW_TOKENS,
        "asr": config.evaluate.asr,
        "encoder": config.teacher_cache.teacher,
        **workshop.measured_on,
    }


def check_settings(
    seconds: Sequence[float], batches: Sequence[int], rounds: int, names: Sequence[str]
) -> None:
    """Refuse what cannot be measured, before anything is loaded or made. Raises AuraError."""
    for name in set(names) - set(MODELS):
        raise unknown("model", name, MODELS)
    if not seconds or not all(0 < each <= _MAX_SECONDS for each in seconds):
        raise AuraError(f"--seconds: clips have more than 0 and at most {_MAX_SECONDS} seconds")
    if not batches or min(batches) < 1 or rounds < 1:
        raise AuraError("--batches and --rounds: whole numbers from 1")


class _Rounds:
    """Rounds of one setting: every model once in each, on the same clips."""

    def __init__(
        self,
        workshop: Workshop,
        models: Mapping[str, TimedModel],
        speech: Speech,
        setting: Setting,
    ) -> None:
        self._workshop = workshop
        self._models = models
        self._speech = speech
        self._setting = setting
        self._ttft_s: dict[str, list[float]] = {}
        self._answer_s: dict[str, list[float]] = {}

    def costs(self) -> dict[str, Cost]:
        """Count what one batch costs each model; this warms them up as well."""
        starts = self._starts(0)
        return {name: self._cost(name, start) for name, start in starts.items()}

    def run(self, number: int) -> None:
        """Time every model, in an order that moves on from round to round."""
        starts = self._starts(number)
        for name in in_turns(list(starts), number):
            answers = number < _ANSWER_ROUNDS and name != TEXT_PREFILL
            num_tokens = NEW_TOKENS if answers else 1
            first_s, all_s = _timed(
                starts[name], self._new_cache(), num_tokens, self._workshop.device
            )
            self._ttft_s.setdefault(name, []).append(first_s)
            if answers:
                self._answer_s.setdefault(name, []).append(all_s)

    def ratios(self) -> dict[str, float]:
        """AuRA's time over each other's, in each round by itself; medians."""
        ours = self._ttft_s[AURA]
        return {
            f"vs_{name}": round(median_ratio(ours, theirs), 3)
            for name, theirs in self._ttft_s.items()
            if name != AURA
        }

    def row(self, name: str, cost: Cost) -> Row:
        ttft_s, setting = self._ttft_s[name], self._setting
        audio = cost.positions - self._workshop.num_chat_positions
        heard = audio if name in self._models else None
        whole = self._answer_s.get(name)
        return Row(
            model=name,
            seconds=setting.seconds,
            batch=setting.batch,
            ttft_p50_ms=round(1000 * median(ttft_s), 2),
            ttft_p95_ms=round(1000 * float(np.percentile(ttft_s, 95)), 2),
            answer_s=None if whole is None else round(median(whole), 4),
            prefill_gflop=cost.prefill_gflop,
            peak_memory_bytes=cost.peak_memory_bytes,
            kv_cache_bytes=cost.kv_cache_bytes,
            positions=cost.positions,
            audio_tokens_per_second_of_audio=_per(heard, setting.seconds),
            audio_tokens_per_s=_per(heard, median(ttft_s) / setting.batch),
        )

    def _starts(self, number: int) -> dict[str, Start]:
        """All models on the clips of a round, and the LLM on text as long as AuRA's prompt."""
        clips = self._speech.clips(self._setting.seconds, self._setting.batch, number)
        starts: dict[str, Start] = {
            name: partial(model.answer, clips) for name, model in self._models.items()
        }
        if AURA in self._models:
            length = self._models[AURA].num_positions(clips, self._new_cache())
            ids = self._workshop.text_ids(clips, length)
            starts[TEXT_PREFILL] = lambda _, cache: prefill_text(self._workshop.llm, ids, cache)
        return starts

    def _cost(self, name: str, start: Start) -> Cost:
        cache = self._new_cache()
        flops = count_flops(lambda: next(start(1, cache)))
        model = self._models.get(name)
        modules = (self._workshop.llm,) if model is None else model.modules
        return Cost(
            positions=num_positions(cache),
            prefill_gflop=round(flops / 1e9, 3),
            kv_cache_bytes=cache_bytes(cache),
            peak_memory_bytes=weight_bytes(modules)
            + peak_bytes(lambda: next(start(1, self._new_cache())), self._workshop.device),
        )

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self._workshop.llm.config)


def _per(amount: int | None, of: float) -> float | None:
    return None if amount is None else round(amount / of, 2)


def _timed(
    start: Start, cache: DynamicCache, num_tokens: int, device: torch.device
) -> tuple[float, float]:
    """Seconds to the first token, and to the last."""
    synchronise(device)
    began = perf_counter()
    tokens = start(num_tokens, cache)
    next(tokens)
    synchronise(device)
    first_s = perf_counter() - began
    deque(tokens, maxlen=0)
    synchronise(device)
    return first_s, perf_counter() - began
