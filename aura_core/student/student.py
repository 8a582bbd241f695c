"""The LLM with its LoRA and, if it hears, its audio embedding."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from aura_core.padding import valid_positions
from aura_core.student.attention import attention_mask, positions
from aura_core.student.audio_embedding import AudioEmbedding
from aura_core.student.batch import Batch
from aura_core.student.gate import AudioGate


@dataclass(frozen=True)
class Hidden:
    """What a forward pass leaves: the last state, and the outputs of the asked-for blocks."""

    last: Tensor  # [batch, length, width], after the final norm if all blocks ran
    blocks: dict[int, Tensor]  # 1-based block -> [batch, length, width], before any final norm


class Student(nn.Module):
    """A causal LM whose first blocks carry LoRA; `audio_embedding` is None for text only.

    `llm` is a PEFT model, or a plain one with its LoRA merged. Its decoder must expose
    `embed_tokens`, `layers` and `norm`, as transformers' Llama, Qwen, Mistral and Gemma do.
    With `gated` its LoRA is on at audio positions only. `chunk_positions` says which of these
    see each other, as in `attention_mask`.
    """

    def __init__(
        self,
        llm: nn.Module,
        audio_embedding: AudioEmbedding | None,
        *,
        chunk_positions: int | None = None,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.llm = llm
        self.audio_embedding = audio_embedding
        self.chunk_positions = chunk_positions
        self._gate = AudioGate(llm) if gated else None

    @property
    def causal_lm(self) -> Any:
        """The transformers model under PEFT's wrapper."""
        return self.llm.get_base_model() if isinstance(self.llm, PeftModel) else self.llm

    @property
    def decoder(self) -> Any:
        """The stack of blocks: embeddings in, normed states out."""
        return self.causal_lm.model

    def autocast(self) -> torch.autocast:
        """Mixed precision where the frozen weights are bf16; what learns stays fp32."""
        weights = self.causal_lm.get_input_embeddings().weight
        bf16 = weights.dtype == torch.bfloat16
        return torch.autocast(weights.device.type, torch.bfloat16, enabled=bf16)

    def checkpoint_activations(self) -> None:
        """Keep a block's input only, and compute the rest again in the backward pass."""
        self.causal_lm.activation_checkpointing_enable({"use_reentrant": False})
        # Transformers does it in training mode only; a frozen LLM has no dropout to switch on.
        self.decoder.layers.train()

    def recomputing(self, batch: Batch) -> AbstractContextManager[None]:
        """The gate as it was in the forward pass of `batch`, for its backward pass."""
        return self._gate.over(batch.is_audio) if self._gate else nullcontext()

    def embed(self, batch: Batch) -> Tensor:
        """Input embeddings [batch, length, width]: tokens, and audio where the batch has it."""
        embedded: Tensor = self.decoder.embed_tokens(batch.input_ids)
        if self.audio_embedding is None or batch.input_features is None:
            return embedded
        assert batch.num_feature_frames is not None
        audio = self.audio_embedding(batch.input_features, batch.num_feature_frames)
        num_tokens = self.audio_embedding.num_tokens(batch.num_feature_frames)
        picked = audio[valid_positions(num_tokens, audio.shape[1])]
        return embedded.masked_scatter(batch.is_audio[:, :, None], picked.to(embedded.dtype))

    def decode(self, embeddings: Tensor, is_audio: Tensor | None, **decoder_inputs: Any) -> Any:
        """Run the decoder on `embeddings` [batch, length, width] and return its output.

        Args:
            is_audio: bool [batch, length], where a gated LoRA is on; None: nowhere.
            decoder_inputs: attention_mask, position_ids and the like, as transformers names them.
        """
        with self._gated(is_audio):
            return self.decoder(inputs_embeds=embeddings, **decoder_inputs)

    def _gated(self, is_audio: Tensor | None) -> AbstractContextManager[None]:
        if self._gate is None:
            return nullcontext()
        return self._gate.shut() if is_audio is None else self._gate.over(is_audio)

    def forward(
        self, batch: Batch, *, blocks: tuple[int, ...] = (), stop_after: int | None = None
    ) -> Hidden:
        """Run the decoder, in full or only its first `stop_after` blocks.

        Args:
            batch: B sequences of length L.
            blocks: 1-based blocks whose outputs are kept.
            stop_after: run only so many blocks; `Hidden.last` is then meaningless.
        """
        mask = attention_mask(batch.branch, batch.is_audio, self.chunk_positions)
        with _truncated(self.decoder, stop_after), _captured(self.decoder, blocks) as kept:
            output = self.decode(
                self.embed(batch),
                batch.is_audio,
                attention_mask=mask,
                position_ids=positions(batch.branch),
                use_cache=False,
            )
        return Hidden(last=output.last_hidden_state, blocks=kept)

    def logits(self, states: Tensor) -> Tensor:
        """Vocabulary logits of final states [..., width] -> [..., vocabulary]."""
        result: Tensor = self.causal_lm.lm_head(states)
        return result


@contextmanager
def _captured(decoder: Any, blocks: tuple[int, ...]) -> Iterator[dict[int, Tensor]]:
    kept: dict[int, Tensor] = {}

    def keep(number: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            kept[number] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [decoder.layers[b - 1].register_forward_hook(keep(b)) for b in blocks]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _truncated(decoder: Any, stop_after: int | None) -> Iterator[None]:
    layers = decoder.layers
    if stop_after is not None:
        decoder.layers = layers[:stop_after]
    try:
        yield
    finally:
        decoder.layers = layers
