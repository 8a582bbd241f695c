"""Time to the first token, and what it costs: AuRA, a bridge, a cascade, text, on one LLM."""

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, product
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from tqdm import tqdm
from transformers import DynamicCache

from aura_core.bench.latency_models import (
    MODELS,
    LatencyModels,
    TimedModel,
    num_positions,
    prefill_text,
)
from aura_core.bench.measure import Speech, in_turns, median_ratio
from aura_core.config.run import Config
from aura_core.config.stage import MAX_CLIP_S
from aura_core.device import synchronise
from aura_core.errors import AuraError, unknown

# What one prefill costs apart from time: operations counted, bytes taken.


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention, as they run.

    A multiplication with an addition is two. Fourier transforms, norms and the like are not
    counted. Attention counts every pair of positions, masked or not.
    """
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={fused: _attention_flops}) as counter:
        work()
    return int(counter.get_total_flops())


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most that tensors take at once while `work` runs on `device`, on top of what was there.

    On CUDA by the allocator's own statistics. On a CPU by watching every operation's results
    until they are freed: buffers inside an operation are not seen. A resident set would say
    less, as it keeps what an earlier model has freed.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device) - before)
    with _LiveStorages() as live:
        work()
    return int(live.most_bytes)


class _LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations make, until these are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most_bytes = 0
        self._now_bytes = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs)):
            # Not made here: weights, or what was there before.
            self._enter(storage, 0)
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            self._enter(storage, storage.nbytes())
        return result

    def _enter(self, storage: torch.UntypedStorage, size_bytes: int) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        self._now_bytes += size_bytes
        self.most_bytes = max(self.most_bytes, self._now_bytes)
        weakref.finalize(storage, self._leave, key, size_bytes)

    def _leave(self, key: int, size_bytes: int) -> None:
        self._seen.discard(key)
        self._now_bytes -= size_bytes


def _storages(values: Any) -> Iterator[torch.UntypedStorage]:
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
            yield leaf.untyped_storage()


def weight_bytes(modules: Iterable[nn.Module]) -> int:
    """Bytes of parameters and buffers, what modules share counted once."""
    tensors = chain.from_iterable(chain(m.parameters(), m.buffers()) for m in modules)
    # Whisper's list of alignment heads is sparse, and no weight.
    dense = [tensor for tensor in tensors if tensor.layout == torch.strided]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in dense}.values())


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of everything a KV cache holds."""
    held = chain.from_iterable(vars(layer).values() for layer in cache.layers)
    return sum(value.nbytes for value in held if isinstance(value, Tensor))


NEW_TOKENS = 32
AURA = "aura_merged"
TEXT_PREFILL = "text_prefill"
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
    latency_models = LatencyModels(config.distil, config.teacher_cache, config.evaluate.asr, speech)
    models = {name: latency_models.build(name) for name in names}
    settings = [Setting(*each) for each in product(seconds, batches)]
    table: list[Row] = []
    ratios: dict[str, dict[str, float]] = {}
    with tqdm(total=len(settings) * (rounds + 1), desc="latency", unit="round") as progress:
        for setting in settings:
            timed = _Rounds(latency_models, models, speech, setting)
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
        **latency_models.measured_on,
    }


def check_settings(
    seconds: Sequence[float], batches: Sequence[int], rounds: int, names: Sequence[str]
) -> None:
    """Refuse what cannot be measured, before anything is loaded or made. Raises AuraError."""
    for name in set(names) - set(MODELS):
        raise unknown("model", name, MODELS)
    if not seconds or not all(0 < each <= MAX_CLIP_S for each in seconds):
        raise AuraError(f"--seconds: clips have more than 0 and at most {MAX_CLIP_S:g} seconds")
    if not batches or min(batches) < 1 or rounds < 1:
        raise AuraError("--batches and --rounds: whole numbers from 1")


class _Rounds:
    """Rounds of one setting: every model once in each, on the same clips."""

    def __init__(
        self,
        latency_models: LatencyModels,
        models: Mapping[str, TimedModel],
        speech: Speech,
        setting: Setting,
    ) -> None:
        self._latency_models = latency_models
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
                starts[name], self._new_cache(), num_tokens, self._latency_models.device
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
        audio = cost.positions - self._latency_models.num_chat_positions
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
            ids = self._latency_models.text_ids(clips, length)
            starts[TEXT_PREFILL] = lambda _, cache: prefill_text(
                self._latency_models.llm, ids, cache
            )
        return starts

    def _cost(self, name: str, start: Start) -> Cost:
        cache = self._new_cache()
        flops = count_flops(lambda: next(start(1, cache)))
        model = self._models.get(name)
        modules = (self._latency_models.llm,) if model is None else model.modules
        return Cost(
            positions=num_positions(cache),
            prefill_gflop=round(flops / 1e9, 3),
            kv_cache_bytes=cache_bytes(cache),
            peak_memory_bytes=weight_bytes(modules)
            + peak_bytes(lambda: next(start(1, self._new_cache())), self._latency_models.device),
        )

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self._latency_models.llm.config)


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
