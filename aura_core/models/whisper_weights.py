"""Weights of other Whisper formats under the names of openai-whisper's module."""

import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.model import ModelDimensions

from aura_core.errors import AuraError

# Reader of CTranslate2's `model.bin`, version 6: named arrays, nothing executed.
#
# Layout, little endian: u32 version, string spec, u32 revision, u32 count; per variable string
# name, u8 rank, u32 x rank dimensions, u8 dtype, u32 size_bytes, data; then u32 count of aliases,
# each string alias, string variable. A string is u16 length with the closing NUL counted, then
# its bytes.

_VERSION = 6
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

Array = NDArray[np.generic]


def read_variables(path: Path) -> dict[str, Array]:
    """Return every variable of the file, read-only, in its stored dtype; aliases are left out.

    Raises:
        AuraError: if the file is not of this format, is cut short or has bytes left over.
    """
    reader = _Reader(path.read_bytes())
    try:
        version, _spec, _revision = reader.number("I"), reader.string(), reader.number("I")
        if version != _VERSION:
            raise AuraError(f"{path}: CTranslate2 format version {version}, expected {_VERSION}")
        variables = dict(reader.variable() for _ in range(reader.number("I")))
        for _ in range(reader.number("I")):
            reader.string(), reader.string()
        if reader.offset != len(reader.data):
            raise ValueError(f"{len(reader.data) - reader.offset} bytes left over")
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise AuraError(f"{path}: not a readable CTranslate2 model ({error})") from error
    return variables


class _Reader:
    """A cursor over the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.data, self.offset)
        self.offset += struct.calcsize("<" + code)
        return int(value)

    def string(self) -> str:
        raw = bytes(self._take(self.number("H")))
        if not raw.endswith(b"\0"):
            raise ValueError("a string does not end in NUL")
        return raw[:-1].decode()

    def variable(self) -> tuple[str, Array]:
        name = self.string()
        shape = [self.number("I") for _ in range(self.number("B"))]
        dtype = np.dtype(_DTYPES[self.number("B")])
        data = self._take(self.number("I"))
        return name, np.frombuffer(data, dtype).reshape(shape)

    def _take(self, size_bytes: int) -> memoryview:
        end = self.offset + size_bytes
        if end > len(self.data):
            raise ValueError("the file is cut short")
        taken = memoryview(self.data)[self.offset : end]
        self.offset = end
        return taken


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
