"""How fast a student learns: a loop a user would write, ours, and the bare student, in one run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from whisper.audio import HOP_LENGTH, log_mel_spectrogram, pad_or_trim
from whisper.model import Whisper

from aura_core.bench.measure import in_turns, median_ratio, sample_rows
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import Phase, TrainConfig
from aura_core.device import compute_dtype, device_for
from aura_core.distil.batches import endless_batches
from aura_core.distil.setup import new_trainer
from aura_core.distil.trainer import Trainer
from aura_core.distil.training_set import TrainBatch
from aura_core.errors import AuraError
from aura_core.ingest.utterances import decode_audio, safe_key
from aura_core.models.whisper_encoder import (
    encoder_states,
    in_precision,
    load_whisper,
    log_mel,
)
from aura_core.student.batch import IGNORE
from aura_core.teacher_cache.index import TeacherCache, open_cache

Rows = Mapping[str, Mapping[str, Any]]
States = Callable[[TrainBatch], dict[int, Tensor]]
Item = TypeVar("Item")
# Steps of each before its time counts.
_WARM_UP = 1


def bench_train(
    ingest_uri: str,
    cache_uri: str,
    teacher: TeacherCacheConfig,
    config: TrainConfig,
    *,
    steps: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Time a full step, cross-entropy and distillation, in four ways on clips of one cache.

    - user_loop: float32, batches in any order, PEFT's LoRA at every position, logits at every
      position, and the teacher run inside the step on audio padded to 30 s.
    - cached: our step from the teacher cache, as a run takes it.
    - online: the same with the teacher run inside the step, on trimmed audio, in its precision.
    - limit: the student's forward and backward on batches made ready before.

    Args:
        ingest_uri: the utterances behind the cache.
        cache_uri: a finished teacher cache at the student's token rate.
        teacher: how the cache was made.
        config: the student; the last of its phases with cross-entropy is timed, without the
            losses that only ours has, and with audio positions in all blocks.
        steps: timed steps of each; a ratio is the median of the steps' own.
        tell: gets a line of progress.

    Returns:
        Clips per second of each, `ratio_vs_user_loop`, `ratio_vs_limit`, `data_wait_share`, and
        what they were measured on.
    """
    phase = _timed_phase(config, steps)
    # A hand-over needs CTC, which the loop a user would write has not.
    dense = config.distillation.model_copy(update={"handover": "dense"})
    config = config.model_copy(update={"phases": (phase,), "distillation": dense})
    cache = open_cache(cache_uri)
    rows = {safe_key(row["id"]): row for row in sample_rows(ingest_uri, "train", None)}
    device = device_for(None)
    whisper = load_whisper(teacher.teacher, device)
    fast = in_precision(whisper, compute_dtype(teacher.precision, device))
    everywhere = config.lora.model_copy(update={"positions": "all"})
    exact = config.model_copy(update={"precision": "fp32", "lora": everywhere})
    waited_s: list[float] = []
    loops = {
        "user_loop": _user_loop(
            new_trainer(exact, cache, device), phase, _padded(whisper, cache, rows)
        ),
        "cached": _cached(new_trainer(config, cache, device), waited_s),
        "online": _online(new_trainer(config, cache, device), phase, _trimmed(fast, cache, rows)),
        "limit": _limit(new_trainer(config, cache, device), phase),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(phase.steps):
        # In turns, so that what slows the machine slows all, and none always follows another.
        for name in in_turns(list(loops), number):
            seconds[name].append(next(loops[name]))
        speeds = ", ".join(
            f"{name} {phase.batch_utterances / each[-1]:.2f}" for name, each in seconds.items()
        )
        tell(f"step {number + 1} of {phase.steps}: {speeds} clips a second")
    counted = {name: each[_WARM_UP:] for name, each in seconds.items()}
    cached = counted["cached"]
    waits = sum(waited_s[_WARM_UP:]) / sum(cached)
    return {
        **{name: round(phase.batch_utterances / median(s), 3) for name, s in counted.items()},
        "ratio_vs_user_loop": round(median_ratio(counted["user_loop"], cached), 2),
        "ratio_vs_limit": round(median_ratio(counted["limit"], cached), 3),
        "data_wait_share": round(waits, 5),
        "steps": steps,
        "batch_utterances": phase.batch_utterances,
        "llm": config.llm,
        "teacher": teacher.teacher,
        "precision": str(compute_dtype(config.precision, device)).removeprefix("torch."),
    }


def _timed_phase(config: TrainConfig, steps: int) -> Phase:
    full = [phase for phase in config.phases if phase.ce]
    if not full:
        raise AuraError(
            "no phase of distil has a cross-entropy, and a full step is what is timed: name a "
            "recipe with one, such as --recipe ablation"
        )
    phase = full[-1]
    changes = {
        "steps": steps + _WARM_UP, "ctc": 0.0, "moments": 0.0, "warmup_steps": 0,
        "text_every": None,
    }  # fmt: skip
    return phase.model_copy(update={**changes, "distil": phase.distil or 1.0})


def _cached(trainer: Trainer, waited_s: list[float]) -> Iterator[float]:
    """Take the steps of a run, and note how long each waited for data."""
    return _timed(lambda record: waited_s.append(record["data_wait_s"]), trainer.run())


def _limit(trainer: Trainer, phase: Phase) -> Iterator[float]:
    def step(data: TrainBatch) -> None:
        with trainer.objective.student.autocast():
            loss = trainer.objective(data, phase, 0).total
        loss.backward()
        trainer.optimizer.zero_grad(set_to_none=True)

    ready = [batch.to(trainer.device) for batch in _batches(trainer, phase)]
    return _timed(step, iter(ready))


def _online(trainer: Trainer, phase: Phase, states: States) -> Iterator[float]:
    def step(data: TrainBatch) -> None:
        trainer.update([replace(data, teacher=states(data))], phase, 0)

    return _timed(step, _batches(trainer, phase))


def _user_loop(trainer: Trainer, phase: Phase, states: States) -> Iterator[float]:
    objective = trainer.objective

    def step(data: TrainBatch) -> None:
        data = replace(data, teacher=states(data)).to(trainer.device)
        hidden = objective.student(data.batch, blocks=tuple(objective.layer_map))
        logits = objective.student.logits(hidden.last).float()
        labels = hidden.read.labels
        ce = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        distil = torch.stack(list(objective.distillation(data, hidden.audio).values())).mean()
        torch.autograd.backward(phase.ce * ce + phase.distil * distil)
        torch.nn.utils.clip_grad_norm_(trainer.trainable.values(), 1.0)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return _timed(step, _batches(trainer, phase, sort=False))


def _batches(trainer: Trainer, phase: Phase, *, sort: bool = True) -> Iterator[TrainBatch]:
    """The batches of a run, or, unsorted, such as a shuffle alone makes."""
    data = trainer.data
    # Ties are cut by index, which says nothing of the length.
    lengths = data.lengths if sort else [0.0] * len(data.lengths)
    for indices in islice(
        endless_batches(lengths, phase.batch_utterances, trainer.config.seed), phase.steps
    ):
        yield data.assemble(data.fetch(indices), with_text=True, step=0)


def _timed(step: Callable[[Item], None], items: Iterator[Item]) -> Iterator[float]:
    """Yield the seconds of each step, with what it takes to get what it works on."""
    while True:
        started = perf_counter()
        item = next(items, None)
        if item is None:
            return
        step(item)
        yield perf_counter() - started


def _trimmed(whisper: Whisper, cache: TeacherCache, rows: Rows) -> States:
    """Our encoder on a batch of trimmed clips, in the shape the cache would have given."""

    def states(data: TrainBatch) -> dict[int, Tensor]:
        mels = [log_mel(_audio(rows, key), whisper.dims.n_mels) for key in data.keys]
        lengths = torch.tensor([len(mel) for mel in mels], device=whisper.device)
        mel = pad_sequence(mels, batch_first=True).to(whisper.device)
        found = encoder_states(whisper, mel, lengths, cache.layers)
        return {layer: _as_cached(cache, layer, each, lengths) for layer, each in found}

    return states


def _padded(whisper: Whisper, cache: TeacherCache, rows: Rows) -> States:
    """openai-whisper's own encoder on clips padded to 30 s, its blocks' outputs by hooks."""

    @torch.no_grad()
    def states(data: TrainBatch) -> dict[int, Tensor]:
        audio = [torch.from_numpy(_audio(rows, key)) for key in data.keys]
        lengths = torch.tensor([len(each) // HOP_LENGTH for each in audio], device=whisper.device)
        found: dict[int, Tensor] = {}
        hooks = [
            block.register_forward_hook(lambda _m, _a, out, n=number: found.update({n: out}))
            for number, block in enumerate(whisper.encoder.blocks, start=1)
        ]
        hooks.append(
            whisper.encoder.blocks[0].register_forward_pre_hook(
                lambda _m, given: found.update({0: given[0]})
            )
        )
        padded = torch.stack([pad_or_trim(each) for each in audio])
        mel = log_mel_spectrogram(padded, whisper.dims.n_mels)
        last = whisper.encoder(mel.to(whisper.device))
        for hook in hooks:
            hook.remove()
        found[len(whisper.encoder.blocks)] = last
        return {layer: _as_cached(cache, layer, found[layer], lengths) for layer in cache.layers}

    return states


def _as_cached(cache: TeacherCache, layer: int, states: Tensor, lengths: Tensor) -> Tensor:
    """Average, standardise and pad a batch's states, [batch, positions, width]."""
    num_frames, codec = (lengths + 1) // 2, cache.codec.to(states.device)
    rows, _ = codec.rows(states[:, : int(num_frames.max())], num_frames)
    counts = codec.num_rows(num_frames).tolist()
    standardised = codec.layers[layer].standardise(rows.flatten(0, 1))
    return pad_sequence(list(torch.split(standardised, counts)), batch_first=True)


def _audio(rows: Rows, key: str) -> Any:
    return decode_audio(rows[key]["audio"]["bytes"])
