"""An LLM that hears: audio embedding, LLM, LoRA. Copied into the model folder."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .audio_aura import AudioEmbedding, Handover
from .configuration_aura import AuraConfig

# An attribute of a cache: which of its keys are real, below the hand-over and above it.
_KEPT = "aura_kept_keys"


class GatedLoraLinear(nn.Linear):
    """A linear map with LoRA that is on at audio positions only."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool, rank: int, scaling: float
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.lora_A = nn.Linear(in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, out_features, bias=False)
        self.scaling = scaling
        # Of [batch * length]; None: no audio at all.
        self.audio_rows: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """[batch, length, in_features] -> [batch, length, out_features]."""
        result = super().forward(input)
        if self.audio_rows is None:
            return result
        heard = input.flatten(0, 1).index_select(0, self.audio_rows)
        update = self.lora_B(self.lora_A(heard) * self.scaling)
        # In place: the gradient of a linear map needs its input only.
        result.flatten(0, 1).index_add_(0, self.audio_rows, update)
        return result


class AuraForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Text and audio in, text out."""

    config: AuraConfig
    config_class = AuraConfig
    base_model_prefix = "llm"
    main_input_name = "input_ids"
    _supports_sdpa = True
    # A static cache's mask is causal; ours is not over audio.
    _can_compile_fullgraph = False
    _keep_in_fp32_modules_strict = {"audio_embedding", "handover"}  # noqa: RUF012

    def __init__(self, config: AuraConfig) -> None:
        super().__init__(config)
        self.llm = AutoModelForCausalLM.from_config(config.text_config)
        for name, (rank, scaling) in config.gated_lora.items():
            parent, _, child = name.rpartition(".")
            module = self.llm.get_submodule(parent)
            plain = getattr(module, child)
            gated = GatedLoraLinear(
                plain.in_features, plain.out_features, plain.bias is not None, int(rank), scaling
            )
            setattr(module, child, gated.to(plain.weight.dtype))
        self.audio_embedding = AudioEmbedding(config)
        self.handover: Handover | None = None
        self._lower = range(config.handover_block or 0)
        if config.handover_block is not None:
            self.handover = Handover(config.text_config.hidden_size, config.handover_tokens)
        # Newer transformers call `past_key_values` so.
        block = self.llm.model.layers[0].forward
        renamed = "cache" in inspect.signature(block).parameters
        self._cache_name = "cache" if renamed else "past_key_values"
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The LLM's token embeddings."""
        return self.llm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The LLM's head."""
        return self.llm.get_output_embeddings()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        cache: Any = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the LLM.

        Args:
            input_ids: int64 [batch, length], `config.audio_token_id` where audio goes.
            attention_mask: int64 [batch, past + length], zero where padded.
            input_features: float [clips, mels, frames], the clips of the batch in order; used
                only if `input_ids` has audio positions.
            feature_attention_mask: int64 [clips, frames]; None: all frames are valid.
            position_ids: int64 [batch, length], as the LLM takes them.
            past_key_values: keys and values of the positions before.
            cache: the same, as newer transformers name it.
            inputs_embeds: float [batch, length, width] in place of `input_ids`, of text alone.
            **kwargs: as the LLM takes them, `labels` among them.

        Returns:
            The LLM's output, with `logits`.

        Raises:
            ValueError: if the audio positions are not as many as the clips fill.
        """
        past = past_key_values if cache is None else cache
        is_audio = None if input_ids is None else input_ids == self.config.audio_token_id
        has_audio = is_audio is not None and bool(is_audio.any())
        # A cache that slots were put into has keys that no mask of the caller's counts.
        if self.handover is not None and (has_audio or hasattr(past, _KEPT)):
            assert input_ids is not None
            features = (input_features, feature_attention_mask) if has_audio else None
            return self._hand_over(input_ids, attention_mask, features, past, **kwargs)
        past = {} if past is None else {self._cache_name: past}
        if not has_audio:
            return self.llm(
                inputs_embeds=self.get_input_embeddings()(input_ids)
                if inputs_embeds is None
                else inputs_embeds,
                attention_mask=attention_mask,
                position_ids=position_ids,
                **past,
                **kwargs,
            )
        assert input_ids is not None
        assert is_audio is not None
        seen = 0 if not past else int(next(iter(past.values())).get_seq_length())
        if attention_mask is None:
            attention_mask = input_ids.new_ones(len(input_ids), seen + input_ids.shape[1])
        if position_ids is None:
            counted = attention_mask.long().cumsum(dim=1) - 1
            position_ids = counted.clamp(min=0)[:, -input_ids.shape[1] :]
        with self._gate(is_audio):
            return self.llm(
                inputs_embeds=self._embed(
                    input_ids, is_audio, input_features, feature_attention_mask
                ),
                attention_mask=self._attention(
                    self._visible(attention_mask.bool(), is_audio, self.config.chunk_positions)
                ),
                position_ids=position_ids,
                **past,
                **kwargs,
            )

    def _hand_over(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        features: tuple[Tensor | None, Tensor | None] | None,
        cache: Any,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **_kwargs: Any,
    ) -> Any:
        """Run text through all blocks, and a clip's slots through those above the hand-over.

        The caches of the blocks below hold text only, those above text and slots; which of their
        keys are real is kept with the cache.
        """
        if cache is None and use_cache:
            cache = DynamicCache(config=self.config.text_config)
        batch, length = input_ids.shape
        if attention_mask is None:
            attention_mask = input_ids.new_ones(batch, length)
        past = attention_mask[:, :-length].bool()
        below_seen, above_seen = getattr(cache, _KEPT, (past, past))
        kept = attention_mask[:, -length:].bool()
        is_audio = input_ids == self.config.audio_token_id
        slots = None
        if features is not None:
            slots, counts = self._slots(is_audio, *features)
            clip, place = _clips(is_audio)
            kept = kept & (~is_audio | (place < counts[clip]))
        is_text = kept & ~is_audio
        position_ids = (kept.cumsum(dim=1) - 1).clamp(min=0) + above_seen.sum(dim=1)[:, None]
        # The audio token is no row of the LLM's vocabulary.
        ids, below = _packed(input_ids.masked_fill(is_audio, 0), is_text)
        below_seen = torch.cat([below_seen, below], dim=1)
        states = self._blocks(
            self.get_input_embeddings()(ids),
            self._lower,
            self._visible(below_seen, torch.zeros_like(below), 1),
            _packed(position_ids, is_text)[0],
            cache,
        )
        heard, above = _packed(is_audio, kept)
        above_seen = torch.cat([above_seen, above], dim=1)
        mixed = states.new_zeros(*above.shape, states.shape[-1])
        mixed = mixed.masked_scatter((above & ~heard)[:, :, None], states[below])
        heard = heard & above
        if slots is not None:
            mixed = mixed.masked_scatter(heard[:, :, None], slots.to(mixed.dtype))
        with self._gate(heard):
            states = self._blocks(
                mixed,
                range(self._lower.stop, len(self.llm.model.layers)),
                self._visible(above_seen, heard, 1),
                _packed(position_ids, kept)[0],
                cache,
            )
        if cache is not None:
            setattr(cache, _KEPT, (below_seen, above_seen))
        # As long as what was asked: positions without a slot have logits of zero.
        last = states.new_zeros(batch, length, states.shape[-1])
        last = last.masked_scatter(kept[:, :, None], self.llm.model.norm(states)[above])
        picked = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.llm.lm_head(last[:, picked])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=logits.shape[-1])
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{self._cache_name: cache})

    def _slots(
        self, is_audio: Tensor, features: Tensor | None, feature_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The slots of all clips, [slots, width], and how many each has: int64 [clips]."""
        assert self.handover is not None
        audio, counts = self._audio(is_audio, features, feature_mask)
        prefix = torch.tensor(self.config.handover_prefix, device=audio.device)
        prefix = self.get_input_embeddings()(prefix).expand(len(audio), -1, -1)
        index = torch.arange(audio.shape[1], device=audio.device)
        heard = functional.pad(index < counts[:, None], (prefix.shape[1], 0))
        valid = functional.pad(index < counts[:, None], (prefix.shape[1], 0), value=True)
        with self._gate(heard):
            states = self._blocks(
                torch.cat([prefix, audio.to(prefix.dtype)], dim=1),
                self._lower,
                self._visible(valid, heard, self.config.chunk_positions),
                torch.arange(heard.shape[1], device=audio.device).expand(heard.shape),
                None,
            )
        slots, counts = self.handover(states[:, prefix.shape[1] :].float(), counts)
        index = torch.arange(slots.shape[1], device=slots.device)
        return slots[index < counts[:, None]], counts

    def _blocks(
        self, states: Tensor, blocks: range, visible: Tensor, position_ids: Tensor, cache: Any
    ) -> Tensor:
        """Run some of the LLM's blocks on [batch, length, width]."""
        mask = self._attention(visible)
        rotary = self.llm.model.rotary_emb(states, position_ids)
        for index in blocks:
            states = self.llm.model.layers[index](
                states,
                attention_mask=mask,
                position_ids=position_ids,
                position_embeddings=rotary,
                use_cache=cache is not None,
                **{self._cache_name: cache},
            )
        return states

    def _audio(
        self, is_audio: Tensor, features: Tensor | None, feature_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embedded clips, float32 [clips, positions, width], and int64 [clips] valid ones."""
        if features is None:
            raise ValueError("input_ids has audio positions, and there are no input_features")
        log_mel = features.transpose(1, 2).to(self.audio_embedding.project.weight.dtype)
        if feature_mask is None:
            feature_mask = features.new_ones(log_mel.shape[:2])
        audio, counts = self.audio_embedding(log_mel, feature_mask.bool())
        if int(counts.sum()) != int(is_audio.sum()):
            raise ValueError(
                f"the clips fill {int(counts.sum())} audio positions, and input_ids has "
                f"{int(is_audio.sum())}"
            )
        return audio, counts

    def _embed(
        self,
        input_ids: Tensor,
        is_audio: Tensor,
        features: Tensor | None,
        feature_mask: Tensor | None,
    ) -> Tensor:
        audio, counts = self._audio(is_audio, features, feature_mask)
        picked = audio[torch.arange(audio.shape[1], device=audio.device) < counts[:, None]]
        # The audio token is no row of the LLM's vocabulary.
        embedded = self.get_input_embeddings()(input_ids.masked_fill(is_audio, 0))
        return embedded.masked_scatter(is_audio[:, :, None], picked.to(embedded.dtype))

    def _visible(self, valid: Tensor, is_audio: Tensor, chunk_positions: int | None) -> Tensor:
        """Which keys each query sees: bool [batch, 1, length, past + length]."""
        length = is_audio.shape[1]
        index = torch.arange(length, device=is_audio.device)
        clip, place = _clips(is_audio)
        chunk = place // (chunk_positions or max(1, length))
        alike = (clip[:, :, None] == clip[:, None]) & (chunk[:, :, None] == chunk[:, None])
        both = is_audio[:, :, None] & is_audio[:, None] & alike
        seen = valid.shape[1] - length
        allowed = functional.pad((index[:, None] >= index) | both, (seen, 0), value=True)
        own = functional.pad(torch.eye(length, dtype=torch.bool, device=index.device), (seen, 0))
        # A padded query sees itself, so that no row of the softmax is empty.
        return ((allowed & valid[:, None]) | own)[:, None]

    def _attention(self, visible: Tensor) -> Tensor:
        """The mask as the LLM's attention takes it: bool, or additive."""
        if self.llm.config._attn_implementation == "sdpa":
            return visible
        dtype = self.llm.dtype
        blocked = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return blocked.masked_fill(~visible, torch.finfo(dtype).min)

    @contextmanager
    def _gate(self, is_audio: Tensor) -> Iterator[None]:
        gated = [each for each in self.llm.modules() if isinstance(each, GatedLoraLinear)]
        audio_rows = is_audio.flatten().nonzero()[:, 0]
        for module in gated:
            module.audio_rows = audio_rows
        try:
            yield
        finally:
            for module in gated:
                module.audio_rows = None


def _clips(is_audio: Tensor) -> tuple[Tensor, Tensor]:
    """Of audio positions, bool [batch, length]: the clip's number in the batch, and the place."""
    index = torch.arange(is_audio.shape[1], device=is_audio.device)
    starts = is_audio & ~functional.pad(is_audio, (1, 0))[:, :-1]
    clip = (starts.flatten().cumsum(dim=0) - 1).clamp(min=0).view(is_audio.shape)
    return clip, index - torch.where(starts, index, 0).cummax(dim=1).values


def _packed(values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Values [batch, length] where `kept`, padded on the left; and where they are no padding."""
    counts = kept.sum(dim=1, keepdim=True)
    most = int(counts.max())
    order = kept.int().argsort(dim=1, stable=True)[:, kept.shape[1] - most :]
    return values.gather(1, order), torch.arange(most, device=kept.device) >= most - counts
