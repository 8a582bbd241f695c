"""Training on real Ray, by two workers of one process group."""

import logging

import pytest
import ray

from aura_core.pipeline import plan
from aura_core.recipes import recipe
from aura_core.report.history import read_history
from aura_core.stage_config import Runtime
from tasks.jobs import distill


def test_two_workers_take_the_steps_that_one_took(smoke_root, tmp_path):
    spec = plan(recipe("smoke"), smoke_root)["distil"]
    board = str(tmp_path / "board")
    runtime = Runtime(workers=2, cpus_per_worker=1, tensorboard=board)
    both = {"uri": str(tmp_path / "out"), "runtime": runtime}
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    try:
        files, counts, _ = distill.run(spec.model_copy(update=both))
    finally:
        ray.shutdown()
    assert "adapter/adapter_model.safetensors" in files
    assert counts == {"steps": 4}
    found, expected = read_history(both["uri"]).records, read_history(spec.uri).records
    # The smoke run may compute in bf16.
    assert [r["loss"] for r in found] == pytest.approx([r["loss"] for r in expected], rel=0.03)
    (run,) = (tmp_path / "board").iterdir()
    assert run.name == f"distil-{spec.fingerprint[:12]}"
    assert list(run.glob("events.*"))
