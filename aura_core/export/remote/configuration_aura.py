"""What an exported model is made of. Copied into the model folder: imports transformers only."""

from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig


class AuraConfig(PreTrainedConfig):
    """A causal LLM that hears.

    Args:
        text_config: the LLM's own config.
        audio_token_id: id that stands for one audio position; beyond the LLM's vocabulary.
        stem: "conv" (Whisper's two convolutions) or "patch" (pairs of log-mel frames).
        num_mel_bins: channels of the log-mel.
        stem_width: channels of the convolutions; unused by "patch".
        max_stem_frames: positions of the stem at 50 Hz; unused by "patch".
        stride: stem frames in one audio position.
        chunk_positions: successive audio positions that see each other both ways; None: all of
            a clip, 1: causal.
        log_mel_floor: lowest value of the log-mel that is heard; None: the feature extractor's.
        gated_lora: {module of the LLM: [rank, scaling]} of LoRA that is on at audio positions
            only; empty if it is merged into the weights.
        handover_block: the block, from 1, after which slots stand for audio; None: audio
            positions stay in the sequence through all blocks.
        handover_tokens: tokens whose states the slots are made of.
        handover_prefix: token ids that each clip is heard after.
    """

    model_type = "aura"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    def __init__(
        self,
        text_config: Any = None,
        audio_token_id: int = 0,
        stem: str = "conv",
        num_mel_bins: int = 80,
        stem_width: int = 384,
        max_stem_frames: int = 1500,
        stride: int = 4,
        chunk_positions: int | None = None,
        log_mel_floor: float | None = None,
        gated_lora: dict[str, list[float]] | None = None,
        handover_block: int | None = None,
        handover_tokens: int = 0,
        handover_prefix: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if text_config is None:
            text_config = {"model_type": "llama"}
        if isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**text_config)
        self.text_config = text_config
        self.audio_token_id = audio_token_id
        self.stem = stem
        self.num_mel_bins = num_mel_bins
        self.stem_width = stem_width
        self.max_stem_frames = max_stem_frames
        self.stride = stride
        self.chunk_positions = chunk_positions
        self.log_mel_floor = log_mel_floor
        self.gated_lora = gated_lora or {}
        self.handover_block = handover_block
        self.handover_tokens = handover_tokens
        self.handover_prefix = handover_prefix or []
        kwargs["tie_word_embeddings"] = text_config.tie_word_embeddings
        super().__init__(**kwargs)
