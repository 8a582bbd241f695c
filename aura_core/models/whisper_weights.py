"""Weights of other Whisper formats under the names of openai-whisper's module."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from whisper.model import ModelDimensions

from aura_core.models.ctranslate2 import Array

State = dict[str, Tensor]


def from_ctranslate2(variables: Mapping[str, Array]) -> tuple[ModelDimensions, State]:
    """Convert the variables of a CTranslate2 Whisper to float32 weights and dimensions."""
    state: State = {}
    for name, array in variables.items():
        if array.ndim and not name.endswith("alignment_heads"):
            state |= _from_ctranslate2(name, torch.tensor(array).float())
    heads = (int(variables[f"{side}/num_heads"]) for side in ("encoder", "decoder"))
    return _dimensions(state, *heads), state


def from_transformers(
    state: Mapping[str, Tensor], encoder_heads: int, decoder_heads: int
) -> tuple[ModelDimensions, State]:
    """Convert a `WhisperForConditionalGeneration`'s state to float32 weights and dimensions."""
    renamed = {
        _rename(name, _TRANSFORMERS): tensor.float()
        for name, tensor in state.items()
        if name.startswith("model.")
    }
    return _dimensions(renamed, encoder_heads, decoder_heads), renamed


# Applied in order; a later pattern sees what an earlier one wrote.
_TRANSFORMERS = (
    (r"^model\.", ""),
    (r"\.layers\.", ".blocks."),
    (r"\.self_attn_layer_norm\.", ".attn_ln."),
    (r"\.encoder_attn_layer_norm\.", ".cross_attn_ln."),
    (r"\.final_layer_norm\.", ".mlp_ln."),
    (r"\.self_attn\.", ".attn."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.2."),
    (r"\.embed_positions\.weight$", ".positional_embedding"),
    (r"\.embed_tokens\.", ".token_embedding."),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^decoder\.layer_norm\.", "decoder.ln."),
)

_CTRANSLATE2 = (
    (r"/", "."),
    (r"\.layer_(\d+)\.", r".blocks.\1."),
    (r"\.gamma$", ".weight"),
    (r"\.beta$", ".bias"),
    (r"\.self_attention\.layer_norm\.", ".attn_ln."),
    (r"\.attention\.layer_norm\.", ".cross_attn_ln."),
    (r"\.ffn\.layer_norm\.", ".mlp_ln."),
    (r"\.self_attention\.", ".attn."),
    (r"\.attention\.", ".cross_attn."),
    (r"\.ffn\.linear_0\.", ".mlp.0."),
    (r"\.ffn\.linear_1\.", ".mlp.2."),
    (r"\.position_encodings\.encodings$", ".positional_embedding"),
    (r"\.embeddings\.", ".token_embedding."),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^decoder\.layer_norm\.", "decoder.ln."),
)

# CTranslate2 stacks projections of the same input: their parts, in order.
_STACKED = {
    ("attn", "linear_0"): ("query", "key", "value"),
    ("attn", "linear_1"): ("out",),
    ("cross_attn", "linear_0"): ("query",),
    ("cross_attn", "linear_1"): ("key", "value"),
    ("cross_attn", "linear_2"): ("out",),
}


def _from_ctranslate2(name: str, tensor: Tensor) -> State:
    name = _rename(name, _CTRANSLATE2)
    found = re.fullmatch(r"(.*)\.(attn|cross_attn)\.(linear_\d)\.(weight|bias)", name)
    if found is None:
        return {name: tensor}
    block, attention, linear, kind = found.groups()
    parts = _STACKED[attention, linear]
    return {
        f"{block}.{attention}.{part}.{kind}": value
        for part, value in zip(parts, tensor.chunk(len(parts)), strict=True)
        # Whisper's keys have no bias: the stacked one holds zeros in their place.
        if (part, kind) != ("key", "bias")
    }


def _rename(name: str, patterns: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def _dimensions(state: State, encoder_heads: int, decoder_heads: int) -> ModelDimensions:
    width, n_mels, _kernel = state["encoder.conv1.weight"].shape
    n_vocab, text_width = state["decoder.token_embedding.weight"].shape
    return ModelDimensions(
        n_mels=n_mels,
        n_audio_ctx=state["encoder.positional_embedding"].shape[0],
        n_audio_state=width,
        n_audio_head=encoder_heads,
        n_audio_layer=_count_blocks(state, "encoder"),
        n_vocab=n_vocab,
        n_text_ctx=state["decoder.positional_embedding"].shape[0],
        n_text_state=text_width,
        n_text_head=decoder_heads,
        n_text_layer=_count_blocks(state, "decoder"),
    )


def _count_blocks(state: State, side: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(f"{side}.blocks.")})
