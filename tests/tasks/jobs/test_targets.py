"""The text LLM's answers on real Ray, and a student that learns from them."""

import json
import logging

import pytest
import ray
import torch

from aura_core.artifacts import store
from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.distil.run import train
from aura_core.report.history import read_history
from aura_core.stages import plan
from aura_core.targets.answers import open_targets, part_name
from aura_core.teacher_cache.index import open_cache
from tasks.jobs import targets

SETTINGS = [
    "targets.self_generated=true", "targets.top_k=4", "targets.max_new_tokens=6",
    "targets.part_utterances=10", "distil.targets={response: 0, self_generated: 0.5}",
    "distil.phases=[{name: learn, steps: 1, batch_utterances: 4, kl: 1, ctc: 1, warmup_steps: 0}]",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def config():
    return override(recipe("smoke"), SETTINGS)


@pytest.fixture(scope="module")
def spec(config, smoke_root, tmp_path_factory):
    """The stage's spec, its output beside the shared run and not in it."""
    made = plan(config, smoke_root)["targets"]
    return made.model_copy(update={"uri": str(tmp_path_factory.mktemp("targets"))})


@pytest.fixture(scope="module")
def outcome(spec):
    return targets.run(spec)


def test_every_utterance_is_answered_or_named(spec, outcome):
    files, counts, _ = outcome
    assert files == [*map(part_name, range(3)), targets.REJECTED_NAME]
    assert counts["utterances"] == 24
    lines = store.read_text(store.join(spec.uri, targets.REJECTED_NAME)).splitlines()
    rejected = [json.loads(line) for line in lines]
    assert len(rejected) == counts["unanswered"]
    assert all("longer than 6 tokens" in each["reason"] for each in rejected)


@pytest.mark.usefixtures("outcome")
def test_a_second_run_makes_the_lost_part_alone(spec, monkeypatch):
    lost = store.join(spec.uri, part_name(1))
    before = {name: store.read_bytes(store.join(spec.uri, name)) for name in map(part_name, (1, 2))}
    store.remove(lost)
    store.write_bytes(store.join(spec.uri, part_name(2)), b"is left alone")
    monkeypatch.setattr(targets, "_unfinished", lambda *_: [])
    targets.run(spec)
    assert store.read_bytes(lost) == before[part_name(1)]
    assert store.read_bytes(store.join(spec.uri, part_name(2))) == b"is left alone"
    store.write_bytes(store.join(spec.uri, part_name(2)), before[part_name(2)])


def test_a_student_learns_the_mix_and_the_logits(config, spec, outcome, tmp_path):
    publish_manifest(
        spec.uri, outcome, stage="targets", stage_version=1, fingerprint=spec.fingerprint,
        identity=spec.identity, inputs={}, provenance={},
    )  # fmt: skip
    key = open_cache(spec.inputs["teacher_cache"]).column("key")[0]
    assert "transcript" in {target.kind for target in open_targets(spec.uri).of(key)}
    train(
        config.distil,
        device=torch.device("cpu"),
        cache_uri=spec.inputs["teacher_cache"],
        text_lora_uri=spec.inputs["text_lora"],
        targets_uri=spec.uri,
        output_uri=str(tmp_path),
        on_step=lambda _: None,
    )
    (record,) = read_history(str(tmp_path)).records
    assert record["kl"] > 0
    parts = sum(record[name] for name in ("ce", "kl", "distil", "ctc"))
    assert record["loss"] == pytest.approx(parts, rel=1e-3)
