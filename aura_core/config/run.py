"""What a run is: one frozen model per stage, and what they must agree on."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from aura_core.config.benchmarks import EMBEDDED, benchmark_mistake
from aura_core.config.stage import (
    MAX_CLIP_S,
    TEACHER_RATE_HZ,
    TOKEN_RATES_HZ,
    Frozen,
    Runtime,
    StageConfig,
    one_of,
)
from aura_core.config.train import TrainConfig
from aura_core.config.voices import PIPER, VOICES

# How a student or a rival may be called.
VariantName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class DemoCorpusConfig(Frozen):
    """Size and sound of the synthetic corpus."""

    train_utterances: int = Field(2000, ge=8, description="sentences to train on")
    heldout_utterances: int = Field(80, ge=4, description="sentences never seen in training")
    phrasing_utterances: int = Field(60, ge=4, description="a family of phrasings never seen")
    voice_utterances: int = Field(60, ge=4, description="a second voice, sentences never seen")
    human_utterances: int = Field(
        60,
        ge=0,
        description="prompts of a human voice, where Debian's asterisk-core-sounds-en and "
        "-en-wav are installed",
    )
    train_voices: tuple[str, ...] = Field(
        (PIPER,),
        min_length=1,
        description="who speaks `train`, drawn for each sentence, one named twice twice as often; "
        "the first speaks `heldout` and `phrasing`: " + ", ".join(VOICES),
    )
    random_words_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="so many of the training sentences are 3 to 7 words drawn at random, with no "
        "response: they teach hearing alone",
    )
    random_words: Literal["grammar", "english"] = Field(
        "grammar",
        description="which words: the grammar's own, or 1,600 common English ones as well",
    )
    noise_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="so many of the training clips are 0.5 to 3 s of noise or silence with an "
        "empty transcript and no response: where nobody speaks, nothing is to be heard",
    )
    telephone_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="so many of the spoken training clips keep what a telephone does, below 4 kHz",
    )
    length_scales: tuple[float, ...] = Field(
        (0.85, 0.95, 1.05),
        description="piper's length_scale, espeak-ng's likewise: smaller is faster speech",
    )
    pitch_factor: tuple[float, float] = Field(
        (1.0, 1.0),
        description="range of what moves pitch and formants of piper's training sentences, at "
        "their tempo: one voice sounds like many",
    )
    snr_db: tuple[float, float] = Field((25.0, 45.0), description="range of the white-noise SNR")
    gain_db: tuple[float, float] = Field((-10.0, 0.0), description="range of the level change")
    seed: int = Field(0, description="of sentences, voices and noise")

    @field_validator("train_voices")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one_of(voice, VOICES) for voice in value)


# Stands for the manifest that a recipe for speech of one's own has to be given.
YOUR_SPEECH = "YOUR_SPEECH"


# What datasets call an utterance's fields of text, the likeliest first.
TEXT_COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "text": (
        "text", "transcription", "sentence", "transcript", "normalized_text", "raw_transcription",
    ),
    "instruction": ("instruction",),
    "response": ("response",),
    "speaker": ("speaker",),
    "split": ("split",),
}  # fmt: skip
# What `ingest.columns` may name.
COLUMNS = ("audio", *TEXT_COLUMNS)


class IngestConfig(StageConfig):
    """Audio and text in, one utterance table out."""

    manifest: str | None = Field(None, description="file or folder; none: the demo corpus")
    format: Literal[
        "auto", "jsonl", "audiofolder", "librispeech", "commonvoice", "kaldi", "parquet"
    ] = Field("auto", description="of the manifest; auto: told by its name and what lies in it")
    columns: dict[str, str] = Field(
        {},
        description="our name -> the manifest's, where that is none of the usual ones; ours are "
        + ", ".join(COLUMNS),
    )
    limit: int | None = Field(None, ge=1, description="take only the first utterances")
    max_duration_s: float = Field(
        MAX_CLIP_S, gt=0, le=MAX_CLIP_S, description="a longer utterance is rejected"
    )
    max_rejected_share: float = Field(
        0.1, ge=0, le=1, description="a manifest with more that cannot be used stops the run"
    )
    heldout_share: float = Field(0.05, ge=0, lt=1, description="where the manifest has no split")
    pseudo_label: bool = Field(False, description="let the ASR write missing transcripts")
    min_avg_logprob: float = Field(-1.0, description="pseudo-labels below it are rejected")
    asr: str = Field("pinned:whisper-tiny.en", description="the Whisper that writes pseudo-labels")
    language: str | None = Field(
        None,
        description="of what is said, for pseudo-labels, such as de; none: what the ASR detects",
    )
    demo: DemoCorpusConfig = DemoCorpusConfig()

    @field_validator("columns")
    @classmethod
    def _are_ours(cls, value: dict[str, str]) -> dict[str, str]:
        return {one_of(name, COLUMNS): theirs for name, theirs in value.items()}


class TeacherCacheConfig(StageConfig):
    """Which teacher states are kept, and how."""

    teacher: str = Field(
        "pinned:whisper-tiny.en", description="the ASR model whose encoder is learnt from"
    )
    layers: tuple[int, ...] | None = Field(
        None,
        description="1-based encoder layers, 0: what the first is given; none: all but that",
    )
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
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = Field(
        "int8", description="of the states as they are stored"
    )
    int8_scale: Literal["frame", "channel"] = Field(
        "frame", description="of dtype int8: a step for each frame, or one for each channel"
    )
    splits: tuple[str, ...] = Field(("train",), description="whose utterances are cached")
    shard_utterances: int = Field(256, ge=1, description="utterances in one WebDataset tar")

    @field_validator("rate_hz")
    @classmethod
    def _is_a_rate(cls, value: float) -> float:
        return one_of(value, (TEACHER_RATE_HZ, *TOKEN_RATES_HZ))

    @property
    def silence_s(self) -> float:
        """Seconds of silence after a clip, as far as the teacher's window reaches."""
        return 0.0 if self.padding == "trim" else float(self.padding.removesuffix("s"))


class TargetsConfig(StageConfig):
    """What the text LLM says to the transcripts, for the student to learn from; off by default.

    It answers greedily. The transcript and the given response need no such stage.
    """

    self_generated: bool = Field(False, description="let it answer every transcript itself")
    instruction: str = Field("", description="after the transcript; none: that alone is the turn")
    max_new_tokens: int = Field(64, ge=1, description="an answer that is longer is left out")
    top_k: int = Field(0, ge=0, description="logits kept of every answer's tokens; 0: none")
    part_utterances: int = Field(256, ge=1, description="answers in one file")

    @property
    def is_used(self) -> bool:
        """Whether there is anything to make."""
        return self.self_generated or self.top_k > 0


class BenchmarkConfig(StageConfig):
    """One spoken benchmark, made once: the field's are read from a folder, ours are spoken."""

    runtime: Runtime = Runtime(workers=1)
    name: str
    source: str = Field(EMBEDDED, description="folder or s3:// URI in the set's public layout")


class EvaluateConfig(StageConfig):
    """What is measured: every model on every split and task."""

    models: tuple[Literal["aura", "cascade", "text"], ...] = Field(
        ("aura", "cascade", "text"), description="which of the run's models are compared"
    )
    audio_llms: dict[VariantName, str] = Field(
        {}, description="name -> an audio LLM to compare with: hf:Qwen/Qwen2-Audio-7B-Instruct"
    )
    trust_remote_code: bool = Field(False, description="run the code that an audio LLM brings")
    splits: tuple[str, ...] | None = Field(None, description="none: every split but train")
    asr: str = Field("pinned:whisper-tiny.en", description="the Whisper of the cascade")
    max_items: int | None = Field(None, ge=1, description="per split")
    max_new_tokens: int = Field(48, ge=1, description="of an answer")
    bootstrap_samples: int = Field(1000, ge=100, description="resamples for the intervals")
    latency_items: int = Field(12, ge=1, description="clips timed for TTFT, batch 1")
    seed: int = Field(0, description="of the bootstrap")


class ReportConfig(StageConfig):
    """The HTML page."""

    samples: int = Field(20, ge=1, description="utterances shown with every model's answer")


# Names of what is compared anyway.
_RIVALS = ("aura", "cascade", "text", "asr", "base")


class AblationConfig(Frozen):
    """Students beside `distil`, trained on the same cache and compared in the same table."""

    variants: dict[VariantName, tuple[str, ...]] = Field(
        {}, description="name -> what differs from `distil`, as [lora.rank=64, phases.*.distil=0]"
    )
    seeds: tuple[int, ...] = Field(
        (), description="`distil` and every variant are trained with each; none: distil.seed"
    )

    @model_validator(mode="after")
    def _has_names_of_its_own(self) -> "AblationConfig":
        if taken := set(self.variants) & set(_RIVALS):
            raise ValueError(f"variant {min(taken)!r}: choose another name, that one is taken")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: name each once")
        return self


def _check_layers(kept: tuple[int, ...] | None, distil: TrainConfig) -> None:
    """Raise ValueError if a student learns from layers that the cache does not keep."""
    layer_map, blocks = distil.distillation.layer_map, distil.lora.blocks
    if isinstance(layer_map, dict):
        if kept is None and 0 in layer_map.values():
            raise ValueError(
                "distil.distillation.layer_map asks for layer 0, which is kept if it is named: "
                "set teacher_cache.layers, 0 among them"
            )
        if kept is not None and set(layer_map.values()) - set(kept):
            raise ValueError(
                f"distil.distillation.layer_map asks for layers {sorted(layer_map.values())}, but "
                f"teacher_cache.layers keeps {sorted(kept)}"
            )
    elif layer_map == "one_to_one" and kept and blocks not in (None, max(kept)):
        raise ValueError(
            f"distil.distillation.layer_map is one_to_one, up to teacher layer {max(kept)} of "
            f"teacher_cache.layers, but distil.lora.blocks is {blocks}: set both alike"
        )


class Config(Frozen):
    """One run of the pipeline."""

    ingest: IngestConfig = IngestConfig()
    teacher_cache: TeacherCacheConfig = TeacherCacheConfig()
    text_lora: TrainConfig
    targets: TargetsConfig = TargetsConfig()
    distil: TrainConfig
    ablation: AblationConfig = AblationConfig()
    benchmarks: dict[str, str] = Field(
        {}, description="name -> folder of the set, or `embedded` for one made here"
    )
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
        _check_layers(self.teacher_cache.layers, self.distil)
        if (self.text_lora.input, self.distil.input) != ("text", "audio"):
            raise ValueError("text_lora.input is text and distil.input is audio")
        return self

    @model_validator(mode="after")
    def _has_the_targets_it_learns_from(self) -> "Config":
        reader = self.text_lora
        if reader.targets.self_generated or any(phase.kl for phase in reader.phases):
            raise ValueError("text_lora makes the targets: it cannot learn from them")
        if any(phase.kl for phase in self.distil.phases) and not self.targets.top_k:
            raise ValueError("a phase of distil has a kl: set targets.top_k to the logits to keep")
        if self.distil.targets.self_generated and not self.targets.self_generated:
            raise ValueError(
                "distil.targets weighs self_generated answers: set targets.self_generated to make "
                "them"
            )
        return self

    @model_validator(mode="after")
    def _names_each_model_once(self) -> "Config":
        taken = {*_RIVALS, *self.ablation.variants}
        if again := taken & set(self.evaluate.audio_llms):
            raise ValueError(f"evaluate.audio_llms: {min(again)!r} is taken, choose another name")
        return self

    @model_validator(mode="after")
    def _knows_its_benchmarks(self) -> "Config":
        for name, source in self.benchmarks.items():
            if (mistake := benchmark_mistake(name, source)) is not None:
                raise ValueError(f"benchmarks.{name}: {mistake}")
        return self

    @model_validator(mode="after")
    def _trains_its_own_seed(self) -> "Config":
        seeds, own = self.ablation.seeds, self.distil.seed
        if seeds and own not in seeds:
            raise ValueError(f"ablation.seeds {list(seeds)} leave out distil.seed {own}")
        return self
