import pytest
import torch

from aura_core.artifacts.manifest import Manifest
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.forecast import LlmShape, forecast, llm_shape, num_lora_parameters, training_memory
from aura_core.models.llm import load_llm


def test_the_shape_is_that_of_the_weights():
    reference = "pinned:smollm2-135m-instruct"
    llm, _ = load_llm(reference, torch.float32)
    shape = llm_shape(reference)
    norms = sum(p.numel() for name, p in llm.named_parameters() if "norm" in name)
    assert shape.num_parameters + norms == sum(p.numel() for p in llm.parameters())
    for name, (inputs, outputs) in shape.linear_shapes().items():
        found = {n: p for n, p in llm.named_parameters() if n.startswith("model.layers.0.")}
        (weight,) = (p for n, p in found.items() if n.endswith(f"{name}.weight"))
        assert tuple(weight.shape) == (outputs, inputs)


def test_what_is_no_llm_is_named(tmp_path):
    with pytest.raises(AuraError, match="config cannot be read"):
        llm_shape(str(tmp_path))


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


@pytest.fixture
def ingest() -> Manifest:
    return Manifest.model_construct(
        counts={"utterances": 1100, "split train": 1000, "split voice": 100},
        metrics={"hours": {"train": 0.5, "voice": 0.05}},
    )


def test_the_work_is_counted_from_the_table_and_the_config(ingest):
    config = override(
        recipe("demo"),
        [
            "distil.phases.0.steps=50",
            "distil.phases.0.batch_utterances=16",
            "teacher_cache.shard_utterances=300",
        ],
    )
    work = forecast(config, ingest)
    assert work["teacher_cache"] == "1,000 utterances (0.50 h of audio) in 4 shards"
    # 50 steps of 16 clips of 1.8 s at 12.5 Hz.
    assert work["distil"] == ("50 steps (align 50), 800 clips, 0.8 epochs, 18,000 audio positions")
    assert work["evaluate"] == "aura, cascade, text on voice"


def test_with_the_llms_shape_the_memory_is_estimated(ingest):
    llm = LlmShape(num_blocks=30, width=576, mlp_width=1536, query_width=576, key_width=192,
                   vocabulary=49152, tied=True)  # fmt: skip
    work = forecast(recipe("demo"), ingest, llm)
    assert work["distil"].endswith("GB of memory a worker")


def test_without_a_table_it_says_what_is_not_known():
    work = forecast(recipe("demo"), None)
    assert work["teacher_cache"] == "known once ingest is done"
    assert work["ingest"] == "1,780 synthetic utterances"
    assert "epochs" not in work["distil"]
