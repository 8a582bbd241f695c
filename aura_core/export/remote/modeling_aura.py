"""An LLM that hears: audio embedding, LLM, LoRA. Copied into the model folder: self-contained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel

from .configuration_aura import AuraConfig


class ConvStem(nn.Module):
    """Whisper's two convolutions and positions: log-mel at 100 Hz in, 50 Hz out."""

    def __init__(self, num_mels: int, width: int, max_frames: int) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(num_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.zeros(max_frames, width))

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """[clips, frames, mels], bool [clips, frames] -> [clips, (frames + 1) // 2, width]."""
        x = functional.gelu(self.conv1((log_mel * valid[:, :, None]).transpose(1, 2)))
        x = functional.gelu(self.conv2(x * valid[:, None])).transpose(1, 2)
        if x.shape[1] > len(self.positional_embedding):
            raise ValueError(
                f"a clip of {x.shape[1] / 50:.1f} s: at most "
                f"{len(self.positional_embedding) / 50:g} s fit, cut it"
            )
        return x + self.positional_embedding[: x.shape[1]]


class PatchStem(nn.Module):
    """Two log-mel frames side by side."""

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        self.width = 2 * num_mels

    def forward(self, log_mel: Tensor, _valid: Tensor) -> Tensor:
        """[clips, frames, mels] -> [clips, (frames + 1) // 2, 2 * mels]."""
        whole = functional.pad(log_mel, (0, 0, 0, log_mel.shape[1] % 2))
        return whole.reshape(len(whole), -1, self.width)


class AudioEmbedding(nn.Module):
    """A stem, its frames stacked, LayerNorm, a linear map, RMSNorm."""

    def __init__(self, config: AuraConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.log_mel_floor = config.log_mel_floor
        self.stem: ConvStem | PatchStem = (
            PatchStem(config.num_mel_bins)
            if config.stem == "patch"
            else ConvStem(config.num_mel_bins, config.stem_width, config.max_stem_frames)
        )
        width = self.stem.width * config.stride
        llm_width = config.text_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, llm_width)
        self.output_norm = nn.RMSNorm(llm_width)

    def forward(self, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Embed clips.

        Args:
            log_mel: float [clips, frames, mels] at 100 Hz.
            valid: bool [clips, frames], False where padded.

        Returns:
            float32 [clips, positions, llm_width], and int64 [clips]: valid positions of each.
        """
        if self.log_mel_floor is not None:
            log_mel = log_mel.clamp(min=self.log_mel_floor)
        num_frames = (valid.sum(dim=1) + 1) // 2
        x = self.stem(log_mel, valid)
        x = x * (torch.arange(x.shape[1], device=x.device) < num_frames[:, None])[:, :, None]
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % self.stride))
        x = x.reshape(x.shape[0], x.shape[1] // self.stride, -1)
        embedded = self.output_norm(self.project(self.norm(x)).float())
        return embedded, (num_frames + self.stride - 1) // self.stride


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
    _keep_in_fp32_modules_strict = {"audio_embedding"}  # noqa: RUF012 - transformers' own

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
        past = {} if past is None else {"past_key_values" if cache is None else "cache": past}
        is_audio = None if input_ids is None else input_ids == self.config.audio_token_id
        if is_audio is None or not is_audio.any():
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
                attention_mask=self._mask(attention_mask.bool(), is_audio),
                position_ids=position_ids,
                **past,
                **kwargs,
            )

    def _embed(
        self,
        input_ids: Tensor,
        is_audio: Tensor,
        features: Tensor | None,
        feature_mask: Tensor | None,
    ) -> Tensor:
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
        picked = audio[torch.arange(audio.shape[1], device=audio.device) < counts[:, None]]
        # The audio token is no row of the LLM's vocabulary.
        embedded = self.get_input_embeddings()(input_ids.masked_fill(is_audio, 0))
        return embedded.masked_scatter(is_audio[:, :, None], picked.to(embedded.dtype))

    def _mask(self, valid: Tensor, is_audio: Tensor) -> Tensor:
        """Which keys each query sees: bool [batch, 1, length, past + length], or additive."""
        length = is_audio.shape[1]
        index = torch.arange(length, device=is_audio.device)
        starts = is_audio & ~functional.pad(is_audio, (1, 0))[:, :-1]
        clip = starts.cumsum(dim=1)
        first = torch.where(starts, index, -1).cummax(dim=1).values
        chunk = (index - first) // (self.config.chunk_positions or length)
        alike = (clip[:, :, None] == clip[:, None]) & (chunk[:, :, None] == chunk[:, None])
        both = is_audio[:, :, None] & is_audio[:, None] & alike
        seen = valid.shape[1] - length
        allowed = functional.pad((index[:, None] >= index) | both, (seen, 0), value=True)
        own = functional.pad(torch.eye(length, dtype=torch.bool, device=index.device), (seen, 0))
        # A padded query sees itself, so that no row of the softmax is empty.
        allowed = ((allowed & valid[:, None]) | own)[:, None]
        if self.llm.config._attn_implementation == "sdpa":
            return allowed
        dtype = self.llm.dtype
        blocked = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
        return blocked.masked_fill(~allowed, torch.finfo(dtype).min)

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
