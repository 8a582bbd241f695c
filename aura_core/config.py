"""What a run is: one frozen model per stage, identity apart from runtime.

Everything in a stage's config except `runtime` changes its result, and so its
fingerprint; `runtime` says only where and how fast the work is done.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

# Whisper's states, and two, four or eight of them together.
TEACHER_RATE_HZ = 50.0
TOKEN_RATES_HZ = (25.0, 12.5, 6.25)

_SnrDb = Annotated[float, Field(ge=-20, le=60)]
_GainDb = Annotated[float, Field(ge=-60, le=60)]

_ADD_AT_INGEST = (
    "add the changed audio to the manifest as utterances of its own, so that the teacher "
    "hears it as well"
)
_MOVES_TIME = (
    f"it would move the student's frames against the cached teacher states; {_ADD_AT_INGEST}"
)
# Augmentations one may look for, and why a training step cannot apply them.
_REFUSED_AUGMENTATIONS = {
    "speed": _MOVES_TIME,
    "tempo": _MOVES_TIME,
    "pitch": f"it needs the waveform, and the cache keeps a log-mel; {_ADD_AT_INGEST}",
}


def _one_of(value: float, choices: Sequence[float]) -> float:
    if value not in choices:
        raise ValueError(f"choose one of {', '.join(map(str, choices))}")
    return value


class Frozen(BaseModel):
    """Immutable, and refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Runtime(Frozen):
    """Resources of one stage; never part of its identity."""

    workers: int = Field(2, ge=1, description="Ray workers")
    cpus_per_worker: float = Field(1, gt=0)
    gpus_per_worker: float = Field(0, ge=0)


class StageConfig(Frozen):
    """A stage's settings."""

    runtime: Runtime = Runtime()

    def identity(self) -> dict[str, Any]:
        """The settings that change the result, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"runtime"})


class DemoCorpusConfig(Frozen):
    """Size and sound of the synthetic corpus."""

    train_utterances: int = Field(2000, ge=8)
    heldout_utterances: int = Field(80, ge=4, description="sentences never seen in training")
    phrasing_utterances: int = Field(60, ge=4, description="a family of phrasings never seen")
    voice_utterances: int = Field(60, ge=4, description="a second voice, sentences never seen")
    length_scales: tuple[float, ...] = Field(
        (0.85, 0.95, 1.05), description="piper's length_scale: smaller is faster speech"
    )
    snr_db: tuple[float, float] = Field((25.0, 45.0), description="range of the white-noise SNR")
    gain_db: tuple[float, float] = Field((-10.0, 0.0), description="range of the level change")
    seed: int = 0


class IngestConfig(StageConfig):
    """Audio and text in, one utterance table out."""

    manifest: str | None = Field(None, description="file or folder; none: the demo corpus")
    format: Literal["auto", "jsonl", "audiofolder", "librispeech", "parquet"] = "auto"
    limit: int | None = Field(None, ge=1, description="take only the first utterances")
    max_duration_s: float = Field(30.0, gt=0, le=30.0)
    max_rejected_share: float = Field(0.1, ge=0, le=1)
    heldout_share: float = Field(0.05, ge=0, lt=1, description="where the manifest has no split")
    pseudo_label: bool = Field(False, description="let the ASR write missing transcripts")
    min_avg_logprob: float = Field(-1.0, description="pseudo-labels below it are rejected")
    asr: str = "pinned:whisper-tiny.en"
    demo: DemoCorpusConfig = DemoCorpusConfig()


class TeacherCacheConfig(StageConfig):
    """Which teacher states are kept, and how."""

    teacher: str = "pinned:whisper-tiny.en"
    layers: tuple[int, ...] | None = Field(None, description="1-based encoder layers; none: all")
    padding: str = Field(
        "trim",
        pattern=r"^(trim|\d+(\.\d+)?s)$",
        description="silence the teacher hears after a clip: none (trim), 0.5s, ...; 30s: as "
        "Whisper was trained",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the encoder; auto: bf16 where the hardware multiplies it"
    )
    rate_hz: float = Field(
        12.5, description="states are averaged down to it; at least the student's token rate"
    )
    projection_rank: int | None = Field(
        None, ge=1, description="keep so many principal components of a few successive states"
    )
    projection_frames: int = Field(4, ge=1, description="states projected together")
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = "int8"
    int8_scale: Literal["frame", "channel"] = "frame"
    splits: tuple[str, ...] = ("train",)
    shard_utterances: int = Field(256, ge=1)

    @field_validator("rate_hz")
    @classmethod
    def _is_a_rate(cls, value: float) -> float:
        return _one_of(value, (TEACHER_RATE_HZ, *TOKEN_RATES_HZ))

    @property
    def silence_s(self) -> float:
        """Seconds of silence after a clip, as far as the teacher's window reaches."""
        return 0.0 if self.padding == "trim" else float(self.padding.removesuffix("s"))


class LoraConfig(Frozen):
    """PEFT LoRA on the first `blocks` blocks of the LLM, and a slimmer one above them."""

    rank: int = Field(128, ge=1)
    alpha: int = Field(128, ge=1)
    blocks: int | None = Field(4, ge=1, description="none: every block")
    upper_rank: int = Field(0, ge=0, description="rank above `blocks`; learns from CE only")
    upper_alpha: int = Field(16, ge=1)
    positions: Literal["audio", "all"] = Field(
        "audio", description="audio: off at text positions; all: can be merged into the weights"
    )
    targets: tuple[str, ...] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip


class AudioEmbeddingConfig(Frozen):
    """Log-mel (100 Hz) to LLM embeddings: a stem (50 Hz), stacking to the token rate, linear."""

    stem: Literal["teacher", "random", "patch"] = Field(
        "teacher",
        description="teacher: Whisper's convolutions, started from the teacher's; random: the "
        "same shape from scratch; patch: none, the linear map sees patches of the log-mel",
    )
    token_rate_hz: float = 12.5

    @field_validator("token_rate_hz")
    @classmethod
    def _is_a_whole_stack(cls, value: float) -> float:
        return _one_of(value, TOKEN_RATES_HZ)


class DistillationConfig(Frozen):
    """How student states are pulled towards the teacher's."""

    layer_map: dict[int, int] | Literal["evenly_spaced", "most_similar"] = Field(
        "evenly_spaced",
        description="{student block: teacher layer}, 1-based; most_similar: by CKA of the "
        "untrained student's states and the teacher's",
    )
    layer_weights: dict[int, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="{student block: weight in the mean over blocks}; none: all alike"
    )
    time_map: Literal["stack", "mean", "interpolate"] = Field(
        "stack", description="what a position learns of the teacher states it spans"
    )
    loss: Literal["cosine", "mse", "smooth_l1", "cka"] = Field(
        "cosine", description="against standardised states; cka: without heads"
    )
    attention: Literal["bidirectional", "causal", "chunked"] = "bidirectional"
    chunk_positions: int | None = Field(
        None, ge=2, description="audio positions of a chunk, which see each other: streaming"
    )

    @model_validator(mode="after")
    def _chunks_if_chunked(self) -> "DistillationConfig":
        if (self.attention == "chunked") != (self.chunk_positions is not None):
            raise ValueError("attention chunked and chunk_positions go together: set both or none")
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


class AugmentationConfig(Frozen):
    """Random changes to the student's log-mel in training; all off by default.

    The cached teacher states are those of the clean audio, so nothing here moves time.
    """

    noise_probability: float = Field(0.0, ge=0, le=1, description="share of clips with noise")
    noise_snr_db: tuple[_SnrDb, _SnrDb] = Field(
        (5.0, 30.0), description="range of the SNR over the whole clip"
    )
    gain_db: tuple[_GainDb, _GainDb] = Field((0.0, 0.0), description="range of the level change")
    time_masks: int = Field(0, ge=0, description="SpecAugment: masks per clip")
    max_time_mask_frames: int = Field(
        70, ge=1, description="frames of 10 ms; never more than a fifth of the clip"
    )
    freq_masks: int = Field(0, ge=0, description="SpecAugment: masks per clip")
    max_freq_mask_bins: int = Field(15, ge=1, lt=80, description="mel bins, of 80 or 128")

    @model_validator(mode="before")
    @classmethod
    def _keeps_the_targets_valid(cls, data: Any) -> Any:
        for name, reason in _REFUSED_AUGMENTATIONS.items():
            if isinstance(data, Mapping) and name in data:
                raise ValueError(f"{name} is no augmentation of a training step: {reason}")
        return data

    @field_validator("noise_snr_db", "gain_db")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"a range is [low, high], not [{value[0]:g}, {value[1]:g}]")
        return value


class Phase(Frozen):
    """A stretch of training with fixed loss weights.

    Without cross-entropy only the adapted blocks run, on audio alone.
    """

    name: str
    steps: int = Field(ge=1)
    batch_utterances: int = Field(24, ge=1)
    ce: float = Field(1.0, ge=0)
    distil: float = Field(1.0, ge=0)
    distil_end: float | None = Field(
        None, ge=0, description="its weight at the phase's end, reached linearly; none: constant"
    )
    ctc: float = Field(0.0, ge=0, description="CTC on audio positions of the last adapted block")
    moments: float = Field(
        0.0, ge=0, description="mean and spread there, against those of the LLM's text states"
    )
    learning_rate: float = Field(1e-3, gt=0)
    upper_learning_rate: float | None = Field(
        None, gt=0, description="LoRA above the adapted blocks; none: the same rate"
    )
    warmup_steps: int = Field(10, ge=0)

    @model_validator(mode="after")
    def _has_a_loss(self) -> "Phase":
        if self.ce == self.distil == self.ctc == self.moments == 0:
            raise ValueError(f"phase {self.name!r} has no loss: give one of them a weight")
        if self.distil == 0 and self.distil_end is not None:
            raise ValueError(f"phase {self.name!r}: distil_end without a distil to start from")
        return self

    def distil_weight(self, step: int) -> float:
        """Weight of distillation at a step of the phase, counted from 0."""
        if self.distil_end is None:
            return self.distil
        return self.distil + (self.distil_end - self.distil) * step / max(1, self.steps - 1)


class TrainConfig(StageConfig):
    """A LoRA of the LLM: the student (audio in), or the text baseline (transcript in).

    In a run the student starts from the text baseline's LLM, so both name the same one.
    """

    input: Literal["audio", "text"]
    llm: str = "pinned:smollm2-135m-instruct"
    chat_template: str | None = Field(None, description="Jinja; none: the tokenizer's own")
    lora: LoraConfig = LoraConfig()
    audio_embedding: AudioEmbeddingConfig = AudioEmbeddingConfig()
    distillation: DistillationConfig = DistillationConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    phases: tuple[Phase, ...]
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware multiplies it, else fp32"
    )
    seed: int = 0
    checkpoint_every_steps: int = Field(50, ge=1)

    @model_validator(mode="after")
    def _adapts_where_it_has_input(self) -> "TrainConfig":
        if self.input == "text" and self.lora.positions == "audio":
            raise ValueError("a text student has no audio positions: set lora.positions to all")
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
    def _maps_adapted_blocks(self) -> "TrainConfig":
        layer_map, blocks = self.distillation.layer_map, self.lora.blocks
        if isinstance(layer_map, dict) and blocks is not None and max(layer_map) != blocks:
            raise ValueError(
                f"distillation.layer_map ends at block {max(layer_map)}, but lora.blocks is "
                f"{blocks}: the last adapted block must be mapped, and none above it"
            )
        return self

    @model_validator(mode="after")
    def _augments_what_is_heard(self) -> "TrainConfig":
        if self.input == "text" and self.augmentation != AugmentationConfig():
            raise ValueError("augmentation changes audio, and a text student hears none")
        return self


class EvaluateConfig(StageConfig):
    """What is measured: every model on every split and task."""

    models: tuple[Literal["aura", "cascade", "text"], ...] = ("aura", "cascade", "text")
    splits: tuple[str, ...] | None = Field(None, description="none: every split but train")
    asr: str = "pinned:whisper-tiny.en"
    max_items: int | None = Field(None, ge=1, description="per split")
    max_new_tokens: int = Field(48, ge=1)
    bootstrap_samples: int = Field(1000, ge=100)
    latency_items: int = Field(12, ge=1, description="clips timed for TTFT, batch 1")
    seed: int = 0


class ReportConfig(StageConfig):
    """The HTML page."""

    samples: int = Field(20, ge=1)


class Config(Frozen):
    """One run of the pipeline."""

    ingest: IngestConfig = IngestConfig()
    teacher_cache: TeacherCacheConfig = TeacherCacheConfig()
    text_lora: TrainConfig
    distil: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="after")
    def _starts_from_the_text_lora(self) -> "Config":
        for name in ("llm", "chat_template"):
            if getattr(self.distil, name) != getattr(self.text_lora, name):
                raise ValueError(
                    f"distil.{name} and text_lora.{name} differ, but the student starts from "
                    "the text LoRA's LLM: set both alike"
                )
        cached_hz, token_hz = self.teacher_cache.rate_hz, self.distil.audio_embedding.token_rate_hz
        if cached_hz < token_hz:
            raise ValueError(
                f"teacher_cache.rate_hz {cached_hz:g} is below the student's {token_hz:g} audio "
                "positions a second (distil.audio_embedding.token_rate_hz): keep more, or lower it"
            )
        kept, layer_map = self.teacher_cache.layers, self.distil.distillation.layer_map
        if kept is not None and isinstance(layer_map, dict) and set(layer_map.values()) - set(kept):
            raise ValueError(
                f"distil.distillation.layer_map asks for layers {sorted(layer_map.values())}, but "
                f"teacher_cache.layers keeps {sorted(kept)}"
            )
        if (self.text_lora.input, self.distil.input) != ("text", "audio"):
            raise ValueError("text_lora.input is text and distil.input is audio")
        return self
