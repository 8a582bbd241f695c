import numpy as np
import pytest
import torch

from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.ingest.utterances import encode_audio, write_part
from aura_core.models.teachers import load_teacher
from aura_core.teacher_cache import build

CPU = torch.device("cpu")

# An untrained CTC head on a narrow LLM finds nothing but blanks: there would be one slot a clip.
SURE_SCALE = 0.5

TEXTS = ["turn on the lamp", "turn off the fan", "what time is it", "call anna", "stop", "go home"]


@pytest.fixture(scope="session")
def cache_uri(tmp_path_factory) -> str:
    """A real teacher cache of six short clips of coloured noise."""
    return make_cache(tmp_path_factory.mktemp("cache"), TeacherCacheConfig())


@pytest.fixture(scope="session")
def stem_cache_uri(tmp_path_factory) -> str:
    """The same with what the teacher's first layer is given."""
    return make_cache(
        tmp_path_factory.mktemp("stem-cache"), TeacherCacheConfig(layers=(0, 1, 2, 3, 4))
    )


def make_cache(root, config: TeacherCacheConfig) -> str:
    ingest_uri, uri = str(root / "ingest"), str(root / "teacher_cache")
    write_part(ingest_uri, 0, [utterance(number, text) for number, text in enumerate(TEXTS)])
    teacher = load_teacher(config.teacher, CPU)
    publish_manifest(
        uri, build.make_cache(teacher, ingest_uri, uri, config), stage="teacher_cache",
        stage_version=1, fingerprint="0" * 64, identity=config.identity(), inputs={}, provenance={},
    )  # fmt: skip
    return uri


def utterance(number: int, text: str) -> dict:
    rng = np.random.default_rng(number)
    samples = np.convolve(rng.normal(size=9000 + 1500 * number), np.ones(8) / 8)
    flac, digest = encode_audio((0.3 * samples / abs(samples).max()).astype(np.float32))
    return {
        "id": f"utt-{number}",
        "text": text,
        "instruction": "What is wanted?",
        "response": f"intent{number}",
        "speaker": None,
        "split": "train",
        "family": None,
        "duration_s": len(samples) / 16000,
        "source_sample_rate": 16000,
        "avg_logprob": None,
        "audio": {"bytes": flac, "path": f"utt-{number}.flac"},
        "digest": digest,
    }


@pytest.fixture
def train_config(five_blocks) -> TrainConfig:
    """Of an LLM that takes no time; `real_config` is of one that has learnt."""
    return TrainConfig(
        input="audio",
        llm=str(five_blocks),
        chat_template=SHORT_CHATML,
        lora=LoraConfig(rank=4, alpha=4, blocks=4),
        phases=(
            Phase(
                name="align",
                steps=3,
                batch_utterances=4,
                ce=0,
                ctc=0.3,
                moments=0.3,
                warmup_steps=0,
            ),
            Phase(name="learn", steps=2, batch_utterances=3, warmup_steps=1),
        ),
        precision="fp32",
        checkpoint_every_steps=2,
    )


@pytest.fixture
def real_config(train_config) -> TrainConfig:
    return train_config.model_copy(update={"llm": "pinned:smollm2-135m-instruct"})


@pytest.fixture
def merged_reader(train_config):
    """Function that makes a student to be merged, whose one phase has steps of text alone."""

    def make(**phase) -> TrainConfig:
        settings = {"name": "learn", "steps": 6, "batch_utterances": 4, "text_every": 3, **phase}
        return TrainConfig.model_validate(
            {
                **train_config.model_dump(),
                "lora": {**train_config.lora.model_dump(), "positions": "all"},
                "phases": [settings],
            }
        )

    return make


@pytest.fixture
def handing_over(train_config, tiny_llm) -> TrainConfig:
    """The same on a tiny LLM, handed over by CTC, and at rates that leave slots to read."""
    changes = {
        "llm": str(tiny_llm),
        "lora": {"rank": 4, "alpha": 4, "blocks": 1},
        "distillation": {"handover": "ctc"},
        "phases": [{**p.model_dump(), "learning_rate": 1e-4} for p in train_config.phases],
    }
    return TrainConfig.model_validate({**train_config.model_dump(), **changes})


@pytest.fixture(params=["dense", "ctc"])
def either_config(request, train_config, handing_over, monkeypatch) -> TrainConfig:
    """A config of each hand-over; CTC's is sure enough of itself to read words in noise."""
    if request.param == "ctc":
        monkeypatch.setattr("aura_core.student.handover._FIRST_SCALE", SURE_SCALE)
    return {"dense": train_config, "ctc": handing_over}[request.param]
