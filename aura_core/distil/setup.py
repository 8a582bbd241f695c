"""From a config and a teacher cache to an untrained run: layer map, token states, heads."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from aura_core.artifacts import store
from aura_core.config.train import ADAPTER, LayerMap, TrainConfig
from aura_core.device import compute_dtype
from aura_core.distil.losses import LOSSES, distillation_heads, most_similar_map
from aura_core.distil.objective import Objective
from aura_core.distil.trainer import Trainer
from aura_core.distil.training_set import Answers, OrdinaryText, TrainingSet
from aura_core.distil.validation import state_similarity
from aura_core.errors import AuraError
from aura_core.models.llm import load_llm
from aura_core.student.assembly import merge_adapter, new_student, num_adapted_blocks
from aura_core.student.attention import attention_mask, make_position_ids
from aura_core.student.audio_embedding import EncoderFrames, Stem, new_stem
from aura_core.student.batch import Layout, collate
from aura_core.student.handover import CtcHandover, CtcHead, TokenStates
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.targets.answers import Targets
from aura_core.teacher_cache.codec import pooling
from aura_core.teacher_cache.index import TeacherCache

# The hidden states an LLM itself has for tokens, after one block: what audio is drawn towards.

_BATCH = 64
# Keeps the division finite where a channel hardly moves.
_EPSILON = 1e-6
# One character, or one byte as SentencePiece writes it, behind a mark for a space if there is one.
_PIECE = re.compile(r"[\u0120\u2581]?.|<0x[0-9A-F]{2}>")


def ctc_vocabulary(
    tokenizer: PreTrainedTokenizerBase, transcripts: Sequence[Sequence[int]], limit: int | None
) -> dict[int, int]:
    """Choose the tokens that audio may be spelt with.

    Those of the transcripts come first, then single characters and bytes, which spell any word,
    then the vocabulary in its own order, in which frequent words stand early.

    Args:
        tokenizer: the LLM's.
        transcripts: token ids.
        limit: how many; None: all. Tokens of the transcripts and pieces are always kept.

    Returns:
        {token id: how often it stands in the transcripts}, the most frequent first.
    """
    counts = Counter(token for transcript in transcripts for token in transcript)
    # Put together anew each time it is asked for: once, not once a token of the vocabulary.
    special = set(tokenizer.all_special_ids)
    ordinary = {
        token: number for token, number in tokenizer.get_vocab().items() if number not in special
    }
    pieces = sorted(number for token, number in ordinary.items() if _PIECE.fullmatch(token))
    chosen = dict(counts.most_common())
    chosen |= {number: 0 for number in pieces if number not in chosen}
    for number in sorted(ordinary.values()):
        if limit is not None and len(chosen) >= limit:
            break
        chosen.setdefault(number, 0)
    return chosen


@torch.no_grad()
def token_states(
    student: Student,
    prefix: list[int],
    transcripts: Sequence[Sequence[int]],
    block: int,
    tokens: Sequence[int],
) -> TokenStates:
    """Read `transcripts` (token ids) after the chat `prefix` and average block `block`'s outputs.

    Each state depends on the words before it; the mean over many sentences is what is left
    of the token itself. One of `tokens` that stands in no transcript is read alone.
    """
    said = {token for transcript in transcripts for token in transcript}
    row = {token: number for number, token in enumerate(tokens)}
    width, device = int(student.decoder.config.hidden_size), student.device
    sums, counts = (torch.zeros(len(tokens), n, device=device) for n in (width, 1))
    squares = torch.zeros(width, device=device)

    def read(texts: Sequence[Sequence[int]]) -> None:
        for start in range(0, len(texts), _BATCH):
            chunk = texts[start : start + _BATCH]
            states = _states(student, prefix, chunk, block)
            index = torch.tensor([row[t] for text in chunk for t in text], device=device)
            sums.index_add_(0, index, states)
            counts.index_add_(0, index, torch.ones(len(index), 1, device=device))
            squares.add_(states.square().sum(dim=0))

    # Where nothing is said there is no state of a token.
    read(sorted(filter(None, transcripts), key=len))
    # How states spread is that of sentences.
    mean = sums.sum(dim=0) / counts.sum()
    std = (squares / counts.sum() - mean.square()).clamp(min=_EPSILON).sqrt()
    read([[token] for token in tokens if token not in said])
    return TokenStates(tokens, sums / counts, mean, std)


def _states(
    student: Student, prefix: list[int], texts: Sequence[Sequence[int]], block: int
) -> Tensor:
    """The states after `block` of all texts' tokens, one after another: float32 [tokens, width]."""
    batch = collate([Layout(prefix, 0, list(text), []) for text in texts]).to(student.device)
    states, _ = student.run(
        student.embed_tokens(batch.input_ids),
        range(block),
        is_audio=batch.is_audio,
        mask=attention_mask(batch.branch, batch.is_audio, 1),
        position_ids=make_position_ids(batch.branch),
    )
    return torch.cat(
        [s[len(prefix) : len(prefix) + len(t)] for s, t in zip(states, texts, strict=True)]
    ).float()


# Which student block learns from which teacher layer.


def evenly_spaced(num_blocks: int, teacher_layers: Sequence[int]) -> dict[int, int]:
    """Spread the teacher's layers over the first `num_blocks` blocks, last to last.

    Returns {student block: teacher layer}, both 1-based. With fewer blocks than
    layers, the later layers are kept.
    """
    layers = sorted(teacher_layers)[-num_blocks:]
    count = len(layers)
    return {round((i + 1) * num_blocks / count): layer for i, layer in enumerate(layers)}


def resolve_layer_map(
    layer_map: LayerMap,
    num_blocks: int,
    teacher_layers: Sequence[int],
    similarity: Callable[[], Tensor],
) -> dict[int, int]:
    """Return a checked layer map.

    Args:
        layer_map: explicit, or how to choose one.
        num_blocks: adapted blocks.
        teacher_layers: the cache's.
        similarity: asked only for "most_similar": float [blocks, layers] of the layers from 1 on,
            ascending.

    Raises:
        AuraError: if a block is not adapted, a layer is not cached, or the last
            adapted block is missing (nothing would train the blocks above the last target).
    """
    if layer_map == "one_to_one":
        if max(teacher_layers) != num_blocks:
            raise AuraError(
                f"layer_map: one_to_one, and {num_blocks} adapted blocks for cached layers up to "
                f"{max(teacher_layers)}: set lora.blocks to {max(teacher_layers)}"
            )
        layer_map = {layer: layer for layer in teacher_layers}
    # Layer 0 is the stem's output, which only a map that names it sets against a block.
    layers = sorted(layer for layer in teacher_layers if layer)
    if isinstance(layer_map, str):
        if not layers:
            raise AuraError(
                f"layer_map: {layer_map} chooses among the layers from 1 on, and the cache has none"
            )
        if layer_map == "most_similar":
            return most_similar_map(similarity(), layers)
        return evenly_spaced(num_blocks, layers)
    for block, layer in layer_map.items():
        if not 0 <= block <= num_blocks:
            raise AuraError(
                f"layer_map: block {block} is not among the {num_blocks} adapted blocks"
            )
        if layer not in teacher_layers:
            raise AuraError(
                f"layer_map: teacher layer {layer} is not in the cache (it has "
                f"{', '.join(map(str, sorted(teacher_layers)))})"
            )
    if num_blocks not in layer_map:
        raise AuraError(f"layer_map: the last adapted block, {num_blocks}, must be mapped")
    return dict(sorted(layer_map.items()))


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
    has_audio = config.input == "audio"
    stem = (lambda: _stem(config, cache)) if has_audio else None
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
    group = _states_per_position(config, cache) if has_audio else 1
    if has_audio:
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
    counts = ctc_vocabulary(data.chat.tokenizer, transcripts, config.distillation.ctc_tokens)
    states = token_states(student, data.chat.prefix, transcripts, max(layer_map), list(counts))
    return CtcHead(states, list(counts.values()))
