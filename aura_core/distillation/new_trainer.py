"""From a config and a teacher cache to an untrained run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from aura_core.artifacts import store
from aura_core.cache.codec import pooling
from aura_core.cache.index import TeacherCache
from aura_core.distillation.answers import Answers
from aura_core.distillation.heads import distillation_heads
from aura_core.distillation.layer_map import resolve_layer_map
from aura_core.distillation.losses import LOSSES
from aura_core.distillation.objective import Objective
from aura_core.distillation.ordinary_text import OrdinaryText
from aura_core.distillation.probe import state_similarity
from aura_core.distillation.token_states import spelling_tokens, token_states
from aura_core.distillation.trainer import Trainer
from aura_core.distillation.training_set import TrainingSet
from aura_core.errors import AuraError
from aura_core.models.llm import load_llm
from aura_core.precision import compute_dtype
from aura_core.student.assembly import merge_adapter, new_student, num_adapted_blocks
from aura_core.student.audio_embedding import EncoderFrames, Stem, new_stem
from aura_core.student.file_names import ADAPTER
from aura_core.student.handover import CtcHandover, CtcHead
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.targets.table import Targets
from aura_core.train_config import TrainConfig


def new_trainer(
    config: TrainConfig,
    cache: TeacherCache,
    device: torch.device,
    text_lora_uri: str | None = None,
    targets: Targets | None = None,
) -> Trainer:
    """Build an untrained run from a config and a teacher cache; the teacher is not loaded.

    With `text_lora_uri` the LLM is the one that text LoRA has taught the language of the task;
    `targets` are what that LLM has said to the transcripts. It trains on `device`.
    """
    torch.manual_seed(config.seed)
    dtype = compute_dtype(config.precision, device)
    llm, tokenizer = load_llm(config.llm, None)
    if text_lora_uri is not None:
        with store.local_folder(store.join(text_lora_uri, ADAPTER)) as adapter:
            llm = merge_adapter(llm, adapter, dtype)
    llm.to(dtype=dtype)  # type: ignore[call-arg]
    chat = ChatFormat(tokenizer, config.chat_template)
    hears = config.input == "audio"
    stem = (lambda: _stem(config, cache)) if hears else None
    student = new_student(config, llm, stem).to(device)
    student.recomputes = config.runtime.checkpoint_activations
    data = TrainingSet(
        cache,
        chat,
        student.audio_embedding,
        cache.layers,
        Answers(chat, config.targets, targets),
        config.augmentation,
        config.seed,
    )
    layer_map: Mapping[int, int] = {}
    group = _states_per_position(config, cache) if hears else 1
    if hears:
        blocks = num_adapted_blocks(llm, config.lora)
        layer_map = resolve_layer_map(
            config.distillation.layer_map,
            blocks,
            cache.layers,
            lambda: state_similarity(student, data.only(filter(None, cache.layers)), blocks, group),
        )
    data = data.only(layer_map.values())
    stacked = group if config.distillation.time_map == "stack" else 1
    head = _ctc_head(config, data, student, layer_map)
    if config.distillation.handover == "ctc":
        assert head is not None
        if max(layer_map) >= student.num_blocks:
            raise AuraError(
                f"distillation.handover=ctc after block {max(layer_map)} leaves no block of the "
                f"LLM's {student.num_blocks} to read the slots: lower lora.blocks"
            )
        [line_break, *_] = chat.text("\n")
        student.handover = CtcHandover(head, max(layer_map), chat.prefix, line_break)
    objective = Objective(
        student,
        config.distillation,
        layer_map,
        _heads(config, layer_map, llm, cache.width * stacked),
        head,
        group,
        cache.codec.to(device) if config.distillation.teacher_states == "raw" else None,
    )
    ordinary_text = None
    read = [p.batch_utterances * (p.steps // p.text_every) for p in config.phases if p.text_every]
    if read:
        top_k = targets.top_k if targets and any(phase.kl for phase in config.phases) else 0
        ordinary_text = OrdinaryText(student, chat, sum(read), top_k)
    return Trainer(config, objective.to(device), data, ordinary_text)


def _stem(config: TrainConfig, cache: TeacherCache) -> Stem:
    kind = config.audio_embedding.stem
    if kind == "encoder":
        return EncoderFrames(cache.width, cache.codec.rate_hz)
    return new_stem(kind, cache.stem())


def _states_per_position(config: TrainConfig, cache: TeacherCache) -> int:
    """Teacher states of the cache that make one audio position of the student.

    Raises:
        AuraError: if the cache has fewer states than the student has positions.
    """
    wanted = pooling(config.audio_embedding.token_rate_hz)
    group, rest = divmod(wanted, pooling(cache.codec.rate_hz))
    if rest:
        raise AuraError(
            f"{cache.uri} holds {cache.codec.rate_hz:g} states a second, fewer than the student's "
            "audio positions: lower distil.audio_embedding.token_rate_hz"
        )
    return group


def _heads(
    config: TrainConfig, layer_map: Mapping[int, int], llm: Any, target_width: int
) -> nn.ModuleDict:
    distils = any(phase.distil for phase in config.phases)
    if not distils or not LOSSES[config.distillation.loss].has_heads:
        return nn.ModuleDict()
    width, bias = int(llm.config.hidden_size), config.distillation.head_bias
    return distillation_heads(layer_map, width, target_width, bias=bias)


def _ctc_head(
    config: TrainConfig, data: TrainingSet, student: Student, layer_map: Mapping[int, int]
) -> CtcHead | None:
    """What CTC and the moments compare audio with; None if no phase has either."""
    if all(phase.ctc == phase.moments == 0 for phase in config.phases):
        return None
    transcripts = data.transcripts()
    counts = spelling_tokens(data.chat.tokenizer, transcripts, config.distillation.ctc_tokens)
    states = token_states(student, data.chat.prefix, transcripts, max(layer_map), list(counts))
    return CtcHead(states, list(counts.values()))
