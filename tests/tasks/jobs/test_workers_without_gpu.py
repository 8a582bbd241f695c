"""A worker whose stage has no GPU leaves the machine's alone, whatever torch sees.

Ray does not hide them. Each worker does its real work here, in this process.
"""

from types import SimpleNamespace

import pytest
import ray.train.torch
import torch

from aura_core.artifacts import store
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.config.run import EvaluateConfig, IngestConfig, TargetsConfig, TeacherCacheConfig
from aura_core.evaluation import items
from aura_core.evaluation.items import CORPUS, question_sets
from aura_core.evaluation.models import MODELS
from aura_core.ingest import ingest
from aura_core.ingest.audio import Clip
from aura_core.ingest.utterances import decode_audio, read_table
from aura_core.report.history import read_history
from aura_core.stages import plan
from aura_core.targets.answers import part_name
from aura_core.teacher_cache import build
from aura_core.teacher_cache.index import open_cache
from tasks.jobs import distil, driver, evaluate, targets, teacher_cache


@pytest.fixture(autouse=True)
def a_gpu_in_sight(monkeypatch):
    """Torch says that there is a GPU, and what touches it ends the test."""

    def touch(*_args, **_named):
        pytest.fail("a GPU was touched")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    for name in ("_lazy_init", "is_bf16_supported", "set_device", "synchronize"):
        monkeypatch.setattr(f"torch.cuda.{name}", touch)


@pytest.fixture
def spec_of(smoke_root, tmp_path):
    """The spec of a stage of the finished smoke run, to be made again elsewhere."""

    def spec(stage, *settings):
        made = plan(override(recipe("smoke"), list(settings)), smoke_root)[stage]
        assert made.runtime.gpus_per_worker == 0
        return made.model_copy(update={"uri": str(tmp_path / stage)})

    return spec


def worker(actor, *arguments):
    """An actor's own class, without Ray."""
    return actor.__ray_metadata__.modified_class(*arguments)


@pytest.mark.parametrize("stage", ["text_lora", "distil"])
def test_training(stage, spec_of, smoke_root, monkeypatch):
    spec, steps = spec_of(stage), []
    monkeypatch.setattr(ray.train, "get_context", lambda: SimpleNamespace(get_world_rank=lambda: 0))
    monkeypatch.setattr(ray.train, "report", lambda _: None)
    # What Ray says to a worker without a GPU.
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: torch.device("cpu"))
    progress = SimpleNamespace(put=SimpleNamespace(remote=steps.append))
    distil._train({"spec": spec.model_dump_json(), "progress": progress})
    expected = read_history(plan(recipe("smoke"), smoke_root)[stage].uri).records
    # The smoke run may compute in bf16.
    assert [r["loss"] for r in steps] == pytest.approx([r["loss"] for r in expected], rel=0.03)


def test_the_teacher_cache(spec_of):
    spec = spec_of("teacher_cache")
    config = driver.spec_config(spec, TeacherCacheConfig)
    shards = build.plan_cache(spec.inputs["ingest"], spec.uri, config)
    encoder = worker(teacher_cache.Encoder, spec)
    encoder.publish_teacher_parts(shards)
    assert encoder.build(shards.shards[0]) == pytest.approx(shards.shards[0].duration_s)


def test_targets(spec_of):
    spec = spec_of("targets", "targets.self_generated=true", "targets.max_new_tokens=2")
    writer = worker(targets.Writer, spec, driver.spec_config(spec, TargetsConfig))
    cache = open_cache(spec.inputs["teacher_cache"])
    columns = ("id", "key", "text", "instruction", "response")
    assert writer.write(0, [{name: cache.column(name)[0] for name in columns}]) == 1
    assert store.exists(store.join(spec.uri, part_name(0)))


def test_evaluation(spec_of):
    spec = spec_of("evaluate")
    config = driver.spec_config(spec, EvaluateConfig)
    sets = question_sets(items.tasks_by_split(spec.inputs["ingest"], config.splits), spec.inputs)
    corpus = [questions for questions in sets if questions.source == CORPUS]
    worked = evaluate.PredictorActor(spec, config)
    timings = worked.measure_latency(corpus, 1)
    assert {"aura", "cascade", "text"} <= {timing.model for timing in timings}
    for name in MODELS:
        [item] = items.load_items(spec.inputs[CORPUS], corpus[0], 1)
        assert len(worked._predictor._model(name, CORPUS).predict([item], 1)) == 1


def test_pseudo_labels(smoke_root):
    uri = plan(recipe("smoke"), smoke_root)["ingest"].uri
    row = read_table(uri).to_pylist()[0]
    config = IngestConfig(pseudo_label=True, min_avg_logprob=-5)
    audio = decode_audio(row["audio"]["bytes"])
    text, _ = ingest._transcribe(Clip(audio, 16_000), config)
    assert text
