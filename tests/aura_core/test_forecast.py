import pytest

from aura_core.artifacts.manifest import Manifest
from aura_core.forecast import forecast
from aura_core.models.llm_shape import LlmShape
from aura_core.overrides import override
from aura_core.recipes import recipe


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
