import pytest

from aura_core.memory import num_lora_parameters, training_memory
from aura_core.models.llm_shape import LlmShape
from aura_core.overrides import override
from aura_core.recipes import recipe

QWEN_7B = LlmShape(
    num_blocks=28, width=3584, mlp_width=18944, query_width=3584, key_width=512,
    vocabulary=152064, tied=False,
)  # fmt: skip


def student(*assignments):
    settings = [f"distil.{each}" for each in assignments]
    return override(recipe("whisper-large-qwen7b"), settings).distil


def test_weights_and_lora_are_counted_by_their_shapes():
    # Qwen2.5-7B has 7.62 billion parameters by its model card.
    assert QWEN_7B.num_parameters == pytest.approx(7.62e9, rel=0.005)
    all_blocks = student("lora.blocks=28", "lora.rank=8", "lora.upper_rank=0").lora
    per_block = 2 * 3584 + 3 * (3584 + 18944) + 2 * (3584 + 512) + 2 * 3584
    assert num_lora_parameters(all_blocks, QWEN_7B) == 8 * 28 * per_block


def test_more_clips_at_once_and_longer_ones_take_more():
    ten, thirty = (training_memory(student(), QWEN_7B, seconds) for seconds in (10, 30))
    assert ten.activations < thirty.activations
    assert (ten.weights, ten.trained, ten.logits) == (thirty.weights, thirty.trained, thirty.logits)
    twice = training_memory(student("runtime.micro_batch_utterances=16"), QWEN_7B, 10)
    assert twice.activations == pytest.approx(2 * ten.activations, rel=0.001)


def test_sharded_blocks_leave_a_worker_its_part_the_embeddings_and_two_blocks():
    whole, eighth = (
        training_memory(student(f"runtime.shard_frozen_weights={on}"), QWEN_7B, 10)
        for on in ("false", "true")
    )
    embeddings = 2 * 2 * 152064 * 3584
    blocks = whole.weights - embeddings
    assert eighth.weights == pytest.approx(embeddings + blocks / 8 + 2 * blocks / 28, rel=1e-6)
    assert eighth.trained == whole.trained


def test_a_phase_on_audio_alone_keeps_the_adapted_blocks_only():
    only_align = student(
        "phases=[{name: align, steps: 1, batch_utterances: 8, ce: 0}]", "runtime.workers=1"
    )
    found = training_memory(only_align, QWEN_7B, 10)
    assert found.logits == 0
    assert found.activations == 8 * 125 * 12 * QWEN_7B.activation_bytes_per_token
