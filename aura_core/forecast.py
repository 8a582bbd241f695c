"""What a run would have to do, stage by stage, before anything is started."""

from dataclasses import dataclass

from transformers import AutoConfig

from aura_core.artifacts.manifest import Manifest
from aura_core.config.benchmarks import EMBEDDED
from aura_core.config.overrides import students
from aura_core.config.run import Config
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.errors import AuraError
from aura_core.models.llm import source_of

# The dimensions of an LLM, read from its config; its weights are not loaded.

_BF16 = 2
_FP32 = 4


@dataclass(frozen=True)
class LlmShape:
    """A Llama-like decoder: RMSNorm, grouped-query attention, gated MLP."""

    num_blocks: int
    width: int
    mlp_width: int
    query_width: int
    key_width: int
    vocabulary: int
    tied: bool  # whether embedding and output head share their weights

    @property
    def num_parameters(self) -> int:
        """Weights, norms and biases left out."""
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.width
        return self.num_block_parameters + embeddings

    @property
    def num_block_parameters(self) -> int:
        """Weights of all the blocks."""
        linear = sum(rows * columns for rows, columns in self.linear_shapes().values())
        return self.num_blocks * linear

    @property
    def activation_bytes_per_token(self) -> int:
        """What one block keeps of a token for its backward pass, in bf16 with fp32 norms.

        Inputs of the seven linear maps and of the attention, the two factors of the gate, and
        the two norms' inputs; no attention matrix, as fused attention keeps none.
        """
        inputs = 2 * self.width + self.query_width + self.mlp_width
        attention = self.query_width + 2 * self.key_width
        gate = 3 * self.mlp_width
        return _BF16 * (inputs + attention + gate) + _FP32 * 2 * self.width

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear map of a block, by transformers' names."""
        return {
            "q_proj": (self.width, self.query_width),
            "k_proj": (self.width, self.key_width),
            "v_proj": (self.width, self.key_width),
            "o_proj": (self.query_width, self.width),
            "gate_proj": (self.width, self.mlp_width),
            "up_proj": (self.width, self.mlp_width),
            "down_proj": (self.mlp_width, self.width),
        }


def llm_shape(reference: str) -> LlmShape:
    """Read the dimensions of an LLM.

    Raises:
        AuraError: if its config cannot be found or is not that of a Llama-like decoder.
    """
    source, revision = source_of(reference)
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
        heads = config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
        return LlmShape(
            num_blocks=config.num_hidden_layers,
            width=config.hidden_size,
            mlp_width=config.intermediate_size,
            query_width=heads * head_width,
            key_width=(getattr(config, "num_key_value_heads", None) or heads) * head_width,
            vocabulary=config.vocab_size,
            tied=bool(config.tie_word_embeddings),
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise AuraError(f"model {reference!r}: its config cannot be read ({reason})") from error


# What a training step keeps in memory, estimated from the shapes of the LLM and the batch.
#
# Derived in docs/recipes.md. Nothing is loaded but the LLM's config.

# fp32 values a trained parameter takes: itself, its gradient and AdamW's two moments.
_BYTES_PER_TRAINED = 16
# Logits, their log-softmax and its gradient.
_LOGIT_COPIES = 3
# Instruction, answer and chat template of one utterance, and its tokens to learn; assumed.
TEXT_TOKENS = 96
LEARNT_TOKENS = 32


@dataclass(frozen=True)
class Memory:
    """Bytes of one worker at the height of a step."""

    weights: int
    trained: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of them; what CUDA and the allocator need comes on top."""
        return self.weights + self.trained + self.activations + self.logits


def training_memory(config: TrainConfig, llm: LlmShape, clip_s: float) -> Memory:
    """Estimate the largest step of a run in bf16, its clips all of `clip_s` seconds."""
    phases = [_phase_memory(config, phase, llm, clip_s) for phase in config.phases]
    activations, logits = max(phases, key=sum)
    return Memory(
        weights=_BF16 * (llm.num_parameters - _elsewhere(config, llm)),
        trained=_BYTES_PER_TRAINED * num_lora_parameters(config.lora, llm),
        activations=activations,
        logits=logits,
    )


def _elsewhere(config: TrainConfig, llm: LlmShape) -> int:
    """Parameters of the frozen blocks that only other workers keep."""
    if not config.runtime.shard_frozen_weights:
        return 0
    own = -(-llm.num_block_parameters // config.runtime.workers)
    in_use = 2 * llm.num_block_parameters // llm.num_blocks
    return max(0, llm.num_block_parameters - own - in_use)


def num_lora_parameters(lora: LoraConfig, llm: LlmShape) -> int:
    """Parameters of the LoRA on the adapted blocks and above them."""
    shapes = llm.linear_shapes()
    width = sum(sum(shapes[name]) for name in lora.targets if name in shapes)
    adapted = llm.num_blocks if lora.blocks is None else min(lora.blocks, llm.num_blocks)
    return width * (lora.rank * adapted + lora.upper_rank * (llm.num_blocks - adapted))


def _phase_memory(
    config: TrainConfig, phase: Phase, llm: LlmShape, clip_s: float
) -> tuple[int, int]:
    """Activations kept for the backward pass, and logits: bytes."""
    clips = -(-phase.batch_utterances // config.runtime.workers)
    clips = min(clips, config.runtime.micro_batch_utterances or clips)
    heard = clip_s * config.audio_embedding.token_rate_hz if config.input == "audio" else 0
    blocks = llm.num_blocks if phase.uses_text_loss else config.lora.blocks or llm.num_blocks
    tokens = round(clips * (heard + (TEXT_TOKENS if phase.uses_text_loss else 0)))
    activations = tokens * blocks * llm.activation_bytes_per_token
    if config.runtime.checkpoint_activations:
        # Every block's input, and one block in full.
        activations = tokens * (blocks * _BF16 * llm.width + llm.activation_bytes_per_token)
    learnt = clips * LEARNT_TOKENS if phase.uses_text_loss else 0
    return activations, _LOGIT_COPIES * _FP32 * learnt * llm.vocabulary


_AFTER_INGEST = "known once ingest is done"


def forecast(
    config: Config, ingest: Manifest | None, llm: LlmShape | None = None
) -> dict[str, str]:
    """Return a line about the work of each stage, and of each student of an ablation.

    Args:
        config: of the run.
        ingest: manifest of its utterance table; without it the amount of speech is not known.
        llm: with it, the memory of training is estimated, for clips of the mean length.
    """
    return {
        "ingest": _ingest(config),
        "teacher_cache": _teacher_cache(config, ingest),
        "text_lora": _training(config.text_lora, ingest, llm),
        "targets": f"what {config.text_lora.llm} says to every transcript",
        **{name: _training(each, ingest, llm) for name, each in students(config).items()},
        **{f"benchmark.{name}": _benchmark(source) for name, source in config.benchmarks.items()},
        "evaluate": _evaluate(config, ingest),
        "report": "one HTML page",
    }


def _ingest(config: Config) -> str:
    if config.ingest.manifest is not None:
        return f"every utterance of {config.ingest.manifest}"
    demo = config.ingest.demo
    total = (
        demo.train_utterances
        + demo.heldout_utterances
        + demo.phrasing_utterances
        + demo.voice_utterances
    )
    return f"{total:,} synthetic utterances"


def _teacher_cache(config: Config, ingest: Manifest | None) -> str:
    if ingest is None:
        return _AFTER_INGEST
    settings = config.teacher_cache
    utterances = sum(ingest.counts.get(f"split {split}", 0) for split in settings.splits)
    shards = -(-utterances // settings.shard_utterances)
    hours = sum(ingest.metrics["hours"].get(split, 0.0) for split in settings.splits)
    return f"{utterances:,} utterances ({hours:.2f} h of audio) in {shards:,} shards"


def _training(config: TrainConfig, ingest: Manifest | None, llm: LlmShape | None) -> str:
    steps = sum(phase.steps for phase in config.phases)
    clips = sum(phase.steps * phase.batch_utterances for phase in config.phases)
    phases = ", ".join(f"{phase.name} {phase.steps}" for phase in config.phases)
    line = f"{steps:,} steps ({phases}), {clips:,} clips"
    if ingest is None:
        return line
    utterances = ingest.counts.get("split train", 0)
    seconds = 3600 * ingest.metrics["hours"].get("train", 0.0)
    if not utterances:
        return line
    line += f", {clips / utterances:.1f} epochs"
    if config.input == "audio":
        positions = clips / utterances * seconds * config.audio_embedding.token_rate_hz
        line += f", {positions:,.0f} audio positions"
    if llm is None:
        return line
    needed = training_memory(config, llm, seconds / utterances).total
    return f"{line}, about {needed / 1e9:.1f} GB of memory a worker"


def _benchmark(source: str) -> str:
    return "made here" if source == EMBEDDED else f"items of {source}"


def _evaluate(config: Config, ingest: Manifest | None) -> str:
    models = ", ".join(config.evaluate.models)
    sets = list(config.evaluate.splits or _splits(ingest))
    return f"{models} on {', '.join([*sets, *config.benchmarks])}"


def _splits(ingest: Manifest | None) -> list[str]:
    if ingest is None:
        return ["every split but train"]
    return sorted(set(ingest.metrics["hours"]) - {"train"})
