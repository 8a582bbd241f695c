"""The LLM with its LoRA and, if it hears, its audio embedding and its way to hand audio over."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

from aura_core.errors import AuraError
from aura_core.frames import valid_positions
from aura_core.models.llm import max_positions
from aura_core.student.attention import (
    PADDING,
    SHARED,
    AudioGate,
    attention_mask,
    clip_positions,
    make_position_ids,
)
from aura_core.student.audio_embedding import AudioEmbedding
from aura_core.student.batch import Batch, audio_states
from aura_core.student.handover import CtcHandover, Slots


@dataclass(frozen=True)
class Hidden:
    """What a forward pass leaves.

    Attributes:
        last: states after the final norm [batch, length, width]; None if not all blocks ran.
        read: the batch that `last` is of: with a hand-over, slots stand where clips were.
        audio: 1-based block -> its states at audio positions, float32 [clips, positions, width],
            zero where a clip has fewer than the longest; 0 -> what the first block is given there.
    """

    last: Tensor | None
    read: Batch
    audio: dict[int, Tensor]


@dataclass(frozen=True)
class Part:
    """Successive blocks, and which of the keys in their caches are a prompt's own.

    With a hand-over the lower blocks hold text only; the upper ones text and slots.
    """

    blocks: range
    valid: Tensor  # bool [batch, keys]


@dataclass(frozen=True)
class Prefilled:
    """Prompts that are in a KV cache, to be gone on with."""

    last: Tensor  # [batch, width]: of each prompt's last position, after the final norm
    parts: tuple[Part, ...]
    num_positions: Tensor  # int64 [batch]

    def only(self, rows: Tensor) -> "Prefilled":
        """Some of the prompts, int64 [rows]."""
        parts = tuple(Part(part.blocks, part.valid[rows]) for part in self.parts)
        return Prefilled(self.last[rows], parts, self.num_positions[rows])


class Student(nn.Module):
    """A causal LM whose first blocks carry LoRA; `audio_embedding` is None for text only.

    `llm` is a PEFT model, or a plain one with its LoRA merged. Its decoder must expose
    `embed_tokens`, `layers`, `rotary_emb` and `norm`, as transformers' Llama, Qwen and Mistral do.
    With `gated` its LoRA is on at audio positions and slots only. `chunk_positions` says which
    audio positions see each other, as in `attention_mask`. With `handover` audio goes through the
    lower blocks alone; without, its positions stay in the sequence through all blocks.
    """

    def __init__(
        self,
        llm: nn.Module,
        audio_embedding: AudioEmbedding | None,
        *,
        chunk_positions: int | None = None,
        gated: bool = False,
        handover: CtcHandover | None = None,
    ) -> None:
        super().__init__()
        self.llm = llm
        self.audio_embedding = audio_embedding
        self.handover = handover
        self.chunk_positions = chunk_positions
        # Keep a block's input only, and compute the rest again in the backward pass.
        self.recomputes = False
        self._gate = AudioGate(llm) if gated else None

    @property
    def causal_lm(self) -> Any:
        """The transformers model under PEFT's wrapper."""
        return self.llm.get_base_model() if isinstance(self.llm, PeftModel) else self.llm

    @property
    def decoder(self) -> Any:
        """The stack of blocks, its token embeddings and its final norm."""
        return self.causal_lm.model

    @property
    def num_blocks(self) -> int:
        """Blocks of the LLM."""
        return len(self.decoder.layers)

    @property
    def lower(self) -> range:
        """The blocks before the hand-over, 0-based; none of them without one."""
        return range(0 if self.handover is None else self.handover.block)

    @property
    def upper(self) -> range:
        """The blocks that read audio and text together, 0-based; all without a hand-over."""
        return range(len(self.lower), self.num_blocks)

    @property
    def device(self) -> torch.device:
        """Where the LLM's embeddings are."""
        device: torch.device = self.causal_lm.get_input_embeddings().weight.device
        return device

    @property
    def max_positions(self) -> int:
        """The longest sequence that the LLM reads."""
        return max_positions(self.causal_lm.config)

    def autocast(self) -> torch.autocast:
        """Mixed precision where the frozen weights are bf16; what learns stays fp32."""
        weights = self.causal_lm.get_input_embeddings().weight
        bf16 = weights.dtype == torch.bfloat16
        return torch.autocast(weights.device.type, torch.bfloat16, enabled=bf16)

    def forward(
        self, batch: Batch, *, blocks: Sequence[int] = (), stop_after: int | None = None
    ) -> Hidden:
        """Run the LLM, in full or only its first `stop_after` blocks.

        Args:
            batch: B sequences of length L.
            blocks: 1-based blocks whose states at audio positions are kept; 0: what the first
                block is given.
            stop_after: run only so many blocks.
        """
        if self.handover is not None and batch.input_features is not None:
            if stop_after is not None:
                return Hidden(None, batch, self.hear(batch, blocks, stop_after)[0])
            audio, read, slots = self._handed_over(batch, blocks)
            states, _ = self._read(read, slots, None)
            return Hidden(states, read, {block: audio[block] for block in blocks})
        states, kept = self._through(batch, blocks, stop_after)
        audio = {block: audio_states(batch, kept[block]) for block in blocks}
        return Hidden(None if stop_after else self.decoder.norm(states), batch, audio)

    def prefill(self, batch: Batch, cache: DynamicCache) -> Prefilled:
        """Put prompts, each with one continuation without a response, into an empty cache."""
        slots: Tensor | None = None
        if self.handover is not None and batch.input_features is not None:
            _, batch, slots = self._handed_over(batch, ())
        states, parts = self._read(batch, slots, cache)
        num_positions = (batch.branch != PADDING).sum(dim=1)
        last = states[torch.arange(len(states), device=states.device), num_positions - 1]
        return Prefilled(last, parts, num_positions)

    def go_on(self, prefilled: Prefilled, tokens: Tensor, cache: DynamicCache) -> Prefilled:
        """Add one token to each prompt, int64 [batch]."""
        states = self.embed_tokens(tokens[:, None])
        parts = []
        for part in prefilled.parts:
            valid = torch.cat([part.valid, torch.ones_like(part.valid[:, :1])], dim=1)
            states, _ = self.run(
                states,
                part.blocks,
                is_audio=None,
                mask=valid[:, None, None],
                position_ids=prefilled.num_positions[:, None],
                cache=cache,
            )
            parts.append(Part(part.blocks, valid))
        last = self.decoder.norm(states)[:, -1]
        return Prefilled(last, tuple(parts), prefilled.num_positions + 1)

    def hear(
        self, batch: Batch, blocks: Sequence[int], stop_after: int | None
    ) -> tuple[dict[int, Tensor], Tensor]:
        """Send the clips of a batch through the lower blocks, each alone after the chat's prefix.

        Returns:
            The audio states of `blocks` and of the last one that ran, 1-based, float32 [clips,
            positions, width] each, zero where padded; and int64 [clips], the valid positions.
        """
        assert self.handover is not None
        assert batch.input_features is not None
        embedded, counts = self.embed_audio(batch)
        prefix = self.embed_tokens(self.handover.prefix).expand(len(counts), -1, -1)
        valid = valid_positions(counts, embedded.shape[1])
        text = valid.new_zeros(prefix.shape[:2])
        is_audio = torch.cat([text, valid], dim=1)
        branch = torch.where(torch.cat([~text, valid], dim=1), SHARED, PADDING)
        last = stop_after or self.handover.block
        _, kept = self.run(
            torch.cat([prefix, embedded.to(prefix.dtype)], dim=1),
            range(last),
            is_audio=is_audio,
            mask=attention_mask(branch, is_audio, self.chunk_positions),
            position_ids=make_position_ids(branch),
            kept={*blocks, last},
        )
        heard = {
            block: states[:, prefix.shape[1] :].float() * valid[:, :, None]
            for block, states in kept.items()
        }
        return heard, counts

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Token ids [...] -> the LLM's embeddings of them [..., width]."""
        embedded: Tensor = self.decoder.embed_tokens(ids)
        return embedded * getattr(self.decoder, "embedding_multiplier", 1.0)

    def embed_audio(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The clips of a batch: float [clips, positions, width], and int64 [clips] valid ones."""
        assert self.audio_embedding is not None
        assert batch.input_features is not None
        assert batch.num_feature_frames is not None
        embedded = self.audio_embedding(batch.input_features, batch.num_feature_frames)
        return embedded, self.audio_embedding.num_tokens(batch.num_feature_frames)

    def run(
        self,
        states: Tensor,
        blocks: range,
        *,
        is_audio: Tensor | None,
        mask: Tensor,
        position_ids: Tensor,
        cache: DynamicCache | None = None,
        kept: Collection[int] = (),
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Run successive blocks of the LLM; the one place where they run.

        Args:
            states: [batch, length, width], what the first of them is given.
            blocks: 0-based.
            is_audio: bool [batch, length], where a gated LoRA is on; None: nowhere.
            mask: bool [batch, 1, length, keys], True where a query may see a key.
            position_ids: int64 [batch, length].
            cache: keys and values of positions before, and of these from now on.
            kept: 1-based blocks whose outputs are wanted; 0: `states`.

        Returns:
            The last block's output, before any final norm, and {block: output} of `kept`.

        Raises:
            AuraError: if there are more keys than the LLM has positions.
        """
        if mask.shape[-1] > self.max_positions:
            raise AuraError(
                f"a sequence takes {mask.shape[-1]} positions, and the LLM has {self.max_positions}"
            )
        rows = None if self._gate is None or is_audio is None else _true_rows(is_audio)
        rotary = self._rotary(states, position_ids)

        def through(index: int, given: Tensor) -> Tensor:
            # The gate is opened here, so that a recomputed block finds it as it was.
            with self._gated(rows):
                output: Any = self.decoder.layers[index](
                    given,
                    attention_mask=mask,
                    position_ids=position_ids,
                    cache=cache,
                    use_cache=cache is not None,
                    position_embeddings=rotary[index],
                )
            return torch.as_tensor(output[0] if isinstance(output, tuple) else output)

        outputs = {0: states} if 0 in kept else {}
        for index in blocks:
            if self.recomputes and torch.is_grad_enabled():
                states = checkpoint(through, index, states, use_reentrant=False)
            else:
                states = through(index, states)
            if index + 1 in kept:
                outputs[index + 1] = states
        return states, outputs

    def logits(self, states: Tensor) -> Tensor:
        """Vocabulary logits of final states [..., width] -> [..., vocabulary]."""
        result: Tensor = self.causal_lm.lm_head(states)
        return result

    def _through(
        self,
        batch: Batch,
        blocks: Sequence[int] = (),
        stop_after: int | None = None,
        cache: DynamicCache | None = None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Audio and text together through all blocks, or the first few."""
        embedded = self.embed_tokens(batch.input_ids)
        if batch.input_features is not None and self.audio_embedding is not None:
            audio, counts = self.embed_audio(batch)
            picked = audio[valid_positions(counts, audio.shape[1])]
            embedded = embedded.masked_scatter(
                batch.is_audio[:, :, None], picked.to(embedded.dtype)
            )
        return self.run(
            embedded,
            range(stop_after or self.num_blocks),
            is_audio=batch.is_audio,
            mask=attention_mask(batch.branch, batch.is_audio, self.chunk_positions),
            position_ids=make_position_ids(batch.branch),
            cache=cache,
            kept=blocks,
        )

    def _handed_over(
        self, batch: Batch, blocks: Sequence[int]
    ) -> tuple[dict[int, Tensor], Batch, Tensor]:
        """Audio states as of `hear`, the batch with slots for its clips, and these [all, width]."""
        assert self.handover is not None
        audio, counts = self.hear(batch, blocks, None)
        slots: Slots = self.handover(audio[self.handover.block], counts)
        clip, place = clip_positions(batch.is_audio)
        read = batch.keep(~batch.is_audio | (place < slots.counts[clip]))
        return audio, read, slots.flat

    def _read(
        self, batch: Batch, slots: Tensor | None, cache: DynamicCache | None
    ) -> tuple[Tensor, tuple[Part, ...]]:
        """Normed states [batch, length, width] of text and what has been handed over.

        Without a hand-over, audio positions are read with the text.
        """
        valid = batch.branch != PADDING
        if self.handover is None:
            states, _ = self._through(batch, cache=cache)
            return self.decoder.norm(states), (Part(range(self.num_blocks), valid),)
        text = batch.keep(~batch.is_audio)
        has_text = text.branch != PADDING
        position_ids = make_position_ids(batch.branch)
        below, _ = self.run(
            self.embed_tokens(text.input_ids),
            self.lower,
            is_audio=None,
            mask=attention_mask(text.branch, text.is_audio, 1),
            position_ids=batch.picked(position_ids, ~batch.is_audio),
            cache=cache,
        )
        states = below.new_zeros(*batch.input_ids.shape, below.shape[-1])
        states = states.masked_scatter((valid & ~batch.is_audio)[:, :, None], below[has_text])
        if slots is not None:
            states = states.masked_scatter(batch.is_audio[:, :, None], slots.to(states.dtype))
        above, _ = self.run(
            states,
            self.upper,
            is_audio=None if slots is None else batch.is_audio,
            mask=attention_mask(batch.branch, batch.is_audio, 1),
            position_ids=position_ids,
            cache=cache,
        )
        return self.decoder.norm(above), (Part(self.lower, has_text), Part(self.upper, valid))

    def _gated(self, audio_rows: Tensor | None) -> AbstractContextManager[None]:
        return nullcontext() if self._gate is None else self._gate.over(audio_rows)

    def _rotary(self, states: Tensor, position_ids: Tensor) -> Mapping[int, Any] | Sequence[Any]:
        """The rotary embeddings of every block; some LLMs have several kinds."""
        rotary = self.decoder.rotary_emb
        if "layer_type" not in inspect.signature(rotary.forward).parameters:
            return [rotary(states, position_ids)] * self.num_blocks
        kinds = self.decoder.config.layer_types
        by_kind = {kind: rotary(states, position_ids, kind) for kind in set(kinds)}
        return [by_kind[kind] for kind in kinds]


def _true_rows(mask: Tensor) -> Tensor:
    return mask.flatten().nonzero()[:, 0]
