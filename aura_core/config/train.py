"""How a LoRA is trained, the student that hears or the text baseline, and its files."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from aura_core.config.augmentation import AugmentationConfig
from aura_core.config.stage import TOKEN_RATES_HZ, Frozen, Runtime, StageConfig, one_of

# Names of the files of a trained student; imports nothing, so that anyone may look for them.

ADAPTER = "adapter"
TEXT_ADAPTER = "text_adapter"
AUDIO_EMBEDDING = "audio_embedding.safetensors"
HANDOVER = "handover.safetensors"
TRAIN_CONFIG = "train_config.json"
ENCODER = "encoder.json"
ENCODER_CODEC = "encoder_codec.safetensors"
METRICS = "metrics.jsonl"
SIMILARITY = "similarity.json"
STUDENT_FOLDERS = (ADAPTER, TEXT_ADAPTER)
STUDENT_FILES = (
    METRICS,
    SIMILARITY,
    TRAIN_CONFIG,
    AUDIO_EMBEDDING,
    HANDOVER,
    ENCODER,
    ENCODER_CODEC,
)


class LoraConfig(Frozen):
    """PEFT LoRA on the first `blocks` blocks of the LLM, and a slimmer one above them."""

    rank: int = Field(128, ge=1, description="of the adapted blocks' LoRA")
    alpha: int = Field(128, ge=1, description="LoRA is scaled by alpha / rank")
    blocks: int | None = Field(
        4, ge=1, description="how many blocks are adapted, from the first; none: every block"
    )
    upper_rank: int = Field(0, ge=0, description="rank above `blocks`; learns from CE only")
    upper_alpha: int = Field(16, ge=1, description="the same as alpha, above `blocks`")
    positions: Literal["audio", "all"] = Field(
        "audio", description="audio: off at text positions; all: can be merged into the weights"
    )
    targets: tuple[str, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        description="the linear maps of a block that are adapted",
    )


class AudioEmbeddingConfig(Frozen):
    """Log-mel (100 Hz) to LLM embeddings: a stem (50 Hz), stacking to the token rate, linear."""

    stem: Literal["teacher", "random", "patch", "encoder"] = Field(
        "teacher",
        description="teacher: Whisper's convolutions, started from the teacher's; random: the "
        "same shape from scratch; patch: none, the linear map sees patches of the log-mel; "
        "encoder: a bridge, an MLP on the frozen encoder's last states, without distillation",
    )
    token_rate_hz: float = Field(12.5, description="audio positions a second: 25, 12.5 or 6.25")
    log_mel_floor: Literal["clip", "fixed"] = Field(
        "clip",
        description="clip: eight decades below the clip's loudest bin, as Whisper; fixed: the same "
        "for every clip, so that it is known before the clip ends: streaming",
    )

    @field_validator("token_rate_hz")
    @classmethod
    def _is_a_whole_stack(cls, value: float) -> float:
        return one_of(value, TOKEN_RATES_HZ)


LayerMap = dict[int, int] | Literal["evenly_spaced", "most_similar", "one_to_one"]


class DistillationConfig(Frozen):
    """How student states are pulled towards the teacher's, and given to the blocks above."""

    handover: Literal["dense", "ctc"] = Field(
        "dense",
        description="dense: audio positions stay in the sequence through all blocks; ctc: they go "
        "through the adapted blocks alone, and those of one CTC label become one slot above, in "
        "the states the LLM itself has for that token",
    )
    ctc_tokens: int | None = Field(
        4096,
        ge=1,
        description="tokens that CTC may spell: those of the transcripts and single characters "
        "in any case, then the LLM's vocabulary in its order; none: all of it",
    )
    layer_map: LayerMap = Field(
        "evenly_spaced",
        description="{student block: teacher layer}, 1-based, 0: what the first block or layer is "
        "given; most_similar: by CKA of the untrained student's states and the teacher's; "
        "one_to_one: every cached layer to the block of its number",
    )
    layer_weights: dict[int, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="{student block: weight in the mean over blocks}; none: all alike"
    )
    time_map: Literal["stack", "mean", "interpolate"] = Field(
        "stack", description="what a position learns of the teacher states it spans"
    )
    loss: Literal["cosine", "mse", "smooth_l1", "cka"] = Field(
        "cosine", description="cka: without heads"
    )
    teacher_states: Literal["standardised", "raw"] = Field(
        "standardised",
        description="what a loss compares with: mean 0 and deviation 1 a channel, or as they are",
    )
    head_bias: bool = Field(
        True,
        description="whether the heads' linear maps have one",
    )
    attention: Literal["bidirectional", "causal", "chunked"] = Field(
        "bidirectional", description="which audio positions of a clip see each other"
    )
    chunk_positions: int | None = Field(
        None, ge=2, description="audio positions of a chunk, which see each other: streaming"
    )

    @property
    def seen_positions(self) -> int | None:
        """Successive audio positions that see each other; None: those of the whole clip."""
        return 1 if self.attention == "causal" else self.chunk_positions

    @model_validator(mode="after")
    def _chunks_if_chunked(self) -> "DistillationConfig":
        if (self.attention == "chunked") != (self.chunk_positions is not None):
            raise ValueError("attention chunked and chunk_positions go together: set both or none")
        return self

    @model_validator(mode="after")
    def _has_heads_without_bias(self) -> "DistillationConfig":
        if self.loss == "cka" and not self.head_bias:
            raise ValueError("loss cka has no heads: leave head_bias true, or choose another loss")
        return self

    @model_validator(mode="after")
    def _weighs_what_is_mapped(self) -> "DistillationConfig":
        if not isinstance(self.layer_map, dict):
            if self.layer_weights is not None:
                raise ValueError("layer_weights name blocks: give layer_map as {block: layer} too")
            return self
        if not self.layer_map:
            raise ValueError("layer_map is empty: to train without it, set every phase's distil=0")
        if self.layer_weights is not None and (
            set(self.layer_weights) != set(self.layer_map) or not any(self.layer_weights.values())
        ):
            raise ValueError("layer_weights give each block of layer_map a weight, one above zero")
        return self


class TargetWeights(Frozen):
    """What a token of each kind of answer counts for; zero leaves the kind out."""

    transcript: float = Field(1.0, ge=0, description="what was said")
    response: float = Field(1.0, ge=0, description="where the utterance has one")
    self_generated: float = Field(
        0.0, ge=0, description="the text LLM's own answer (targets.self_generated)"
    )

    @model_validator(mode="after")
    def _keeps_some(self) -> "TargetWeights":
        if not any((self.transcript, self.response, self.self_generated)):
            raise ValueError("give one kind of answer a weight")
        return self


class Phase(Frozen):
    """A stretch of training with fixed loss weights.

    Without cross-entropy and KL only the adapted blocks run, on audio alone.
    """

    name: str = Field(description="as it is called in logs and curves")
    steps: int = Field(ge=1, description="steps of the optimiser")
    batch_utterances: int = Field(24, ge=1, description="clips in one step, of all workers")
    ce: float = Field(1.0, ge=0, description="weight of the cross-entropy of the answers")
    kl: float = Field(
        0.0, ge=0, description="towards the text LLM's logits on the answers (targets.top_k)"
    )
    distil: float = Field(1.0, ge=0, description="weight of the distillation loss")
    distil_end: float | None = Field(
        None, ge=0, description="its weight at the phase's end, reached linearly; none: constant"
    )
    ctc: float = Field(0.0, ge=0, description="CTC on audio positions of the last adapted block")
    moments: float = Field(
        0.0, ge=0, description="mean and spread there, against those of the LLM's text states"
    )
    learning_rate: float = Field(1e-3, gt=0, description="the highest, reached after warm-up")
    upper_learning_rate: float | None = Field(
        None, gt=0, description="LoRA above the adapted blocks; none: the same rate"
    )
    warmup_steps: int = Field(10, ge=0, description="steps until the learning rate is reached")
    text_every: int | None = Field(
        None,
        ge=2,
        description="every so many steps one of ordinary instructions, answered as the LLM did "
        "before: against forgetting, where LoRA is on for text too (lora.positions=all)",
    )

    @model_validator(mode="after")
    def _has_a_loss(self) -> "Phase":
        if not any((self.ce, self.kl, self.distil, self.ctc, self.moments)):
            raise ValueError(f"phase {self.name!r} has no loss: give one of them a weight")
        if self.distil == 0 and self.distil_end is not None:
            raise ValueError(f"phase {self.name!r}: distil_end without a distil to start from")
        if self.text_every is not None and not self.uses_text_loss:
            raise ValueError(
                f"phase {self.name!r}: a step of text alone has only answers to learn from: give "
                "the phase a ce or kl, or leave text_every out"
            )
        if self.text_every is not None and self.text_every > self.steps:
            raise ValueError(
                f"phase {self.name!r}: text_every {self.text_every} is never reached in "
                f"{self.steps} steps: lower it, or leave it out"
            )
        return self

    @property
    def uses_text_loss(self) -> bool:
        """Whether the LLM answers, all blocks of it, or audio alone goes through the first."""
        return bool(self.ce or self.kl)

    def is_text_step(self, step: int) -> bool:
        """Whether a step of the phase, counted from 0, is of text alone."""
        return self.text_every is not None and (step + 1) % self.text_every == 0

    def distil_weight(self, step: int) -> float:
        """Weight of distillation at a step of the phase, counted from 0."""
        if self.distil_end is None:
            return self.distil
        return self.distil + (self.distil_end - self.distil) * step / max(1, self.steps - 1)


class ValidationConfig(Frozen):
    """A small evaluation in training, on clips of the cache that are kept out of it."""

    utterances: int = Field(0, ge=0, description="how many; 0: none, all are trained on")
    every_steps: int = Field(50, ge=1, description="steps between two evaluations")
    patience: int | None = Field(
        None, ge=1, description="end a phase after so many evaluations without a lower loss"
    )
    wer: bool = Field(
        False,
        description="in phases with answers, also write down what they say: word error rate",
    )

    @model_validator(mode="after")
    def _has_what_it_waits_for(self) -> "ValidationConfig":
        if (self.patience is not None or self.wer) and not self.utterances:
            raise ValueError("patience and wer need clips to validate on: set utterances")
        return self


class TrainConfig(StageConfig):
    """A LoRA of the LLM: the student (audio in), or the text baseline (transcript in).

    In a run the student starts from the text baseline's LLM, so both name the same one.
    """

    # On a CPU threads share the weights, processes would each have their own.
    runtime: Runtime = Runtime(workers=1, cpus_per_worker=2)
    input: Literal["audio", "text"] = Field(description="what the LLM is given")
    llm: str = Field("pinned:smollm2-135m-instruct", description="the LLM that is adapted")
    chat_template: str | None = Field(None, description="Jinja; none: the tokenizer's own")
    lora: LoraConfig = LoraConfig()
    audio_embedding: AudioEmbeddingConfig = AudioEmbeddingConfig()
    distillation: DistillationConfig = DistillationConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    targets: TargetWeights = TargetWeights()
    phases: tuple[Phase, ...]
    validation: ValidationConfig = ValidationConfig()
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware multiplies it, else fp32"
    )
    seed: int = Field(0, description="of the weights' start and the order of the clips")
    checkpoint_every_steps: int = Field(50, ge=1, description="steps that an interruption may cost")

    @model_validator(mode="after")
    def _adapts_where_it_has_input(self) -> "TrainConfig":
        if self.input == "text" and self.lora.positions == "audio":
            raise ValueError("a text student has no audio positions: set lora.positions to all")
        return self

    @model_validator(mode="after")
    def _hears_what_it_writes_down(self) -> "TrainConfig":
        if self.input == "text" and self.validation.wer:
            raise ValueError("a text student hears nothing to write down: set validation.wer false")
        return self

    @model_validator(mode="after")
    def _aligns_what_is_heard(self) -> "TrainConfig":
        for phase in self.phases:
            if self.input == "text" and (phase.distil or phase.ctc or phase.moments):
                raise ValueError(
                    f"phase {phase.name!r}: a text student has no audio positions to align: set "
                    "distil, ctc and moments to 0"
                )
        return self

    @model_validator(mode="after")
    def _reads_where_that_teaches(self) -> "TrainConfig":
        for phase in self.phases:
            if phase.text_every is None:
                continue
            if self.lora.positions == "audio":
                raise ValueError(
                    f"phase {phase.name!r}: with lora.positions=audio no LoRA is on in a step of "
                    "text alone, and nothing would learn: leave text_every out, or set it to all"
                )
        return self

    @model_validator(mode="after")
    def _is_a_bridge_or_distilled(self) -> "TrainConfig":
        if self.audio_embedding.stem != "encoder":
            return self
        if self.augmentation != AugmentationConfig():
            raise ValueError(
                "a bridge hears the cached states of the clean audio: switch augmentation off, or "
                "choose another audio_embedding.stem"
            )
        if self.audio_embedding.log_mel_floor != "clip":
            raise ValueError(
                "a bridge is given the encoder's states and no log-mel: leave "
                "audio_embedding.log_mel_floor at clip, or choose another audio_embedding.stem"
            )
        for phase in self.phases:
            if phase.distil:
                raise ValueError(
                    f"phase {phase.name!r}: a bridge is given the encoder's states and has none "
                    "to learn: set distil to 0, or choose another audio_embedding.stem"
                )
        return self

    @model_validator(mode="after")
    def _maps_adapted_blocks(self) -> "TrainConfig":
        layer_map, blocks = self.distillation.layer_map, self.lora.blocks
        if isinstance(layer_map, dict) and blocks is not None and max(layer_map) != blocks:
            raise ValueError(
                f"distillation.layer_map ends at block {max(layer_map)}, but lora.blocks is "
                f"{blocks}: the last adapted block must be mapped, and none above it"
            )
        return self

    @model_validator(mode="after")
    def _hands_over_what_ctc_reads(self) -> "TrainConfig":
        if self.distillation.handover == "dense":
            return self
        if self.input == "text":
            raise ValueError("a text student hears nothing to hand over: leave it at dense")
        if self.lora.blocks is None:
            raise ValueError("handover=ctc needs blocks above the adapted ones: set lora.blocks")
        if not any(phase.ctc for phase in self.phases):
            raise ValueError(
                "distillation.handover=ctc makes slots of what CTC reads, and no phase learns it: "
                "give the first one a ctc weight, or set handover=dense"
            )
        return self

    @model_validator(mode="after")
    def _augments_what_is_heard(self) -> "TrainConfig":
        if self.input == "text" and self.augmentation != AugmentationConfig():
            raise ValueError("augmentation changes audio, and a text student hears none")
        return self
