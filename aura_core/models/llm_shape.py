"""The dimensions of an LLM, read from its config; its weights are not loaded."""

from dataclasses import dataclass

from transformers import AutoConfig

from aura_core.errors import AuraError
from aura_core.models.llm import source_of

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
