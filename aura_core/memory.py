"""What a training step keeps in memory, estimated from the shapes of the LLM and the batch.

Derived in docs/recipes.md. Nothing is loaded but the LLM's config.
"""

from dataclasses import dataclass

from aura_core.models.llm_shape import LlmShape
from aura_core.train_config import LoraConfig, Phase, TrainConfig

# fp32 values a trained parameter takes: itself, its gradient and AdamW's two moments.
_BYTES_PER_TRAINED = 16
_BF16 = 2
_FP32 = 4
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
    blocks = llm.num_blocks if phase.answers else config.lora.blocks or llm.num_blocks
    tokens = round(clips * (heard + (TEXT_TOKENS if phase.answers else 0)))
    activations = tokens * blocks * llm.activation_bytes_per_token
    if config.runtime.checkpoint_activations:
        # Every block's input, and one block in full.
        activations = tokens * (blocks * _BF16 * llm.width + llm.activation_bytes_per_token)
    learnt = clips * LEARNT_TOKENS if phase.answers else 0
    return activations, _LOGIT_COPIES * _FP32 * learnt * llm.vocabulary
