"""Training on real Ray, by two workers of one process group."""

import logging
from types import SimpleNamespace

import pytest
import ray
import ray.train.torch
import torch
from mlflow import MlflowClient
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from ray.train.v2.api.exceptions import WorkerGroupError

from aura_core.config.recipes import recipe
from aura_core.config.stage import Runtime
from aura_core.errors import AuraError
from aura_core.report.history import read_history
from aura_core.stages import plan
from tasks.jobs import distil


def test_two_workers_take_the_steps_that_one_took(smoke_root, tmp_path, monkeypatch):
    spec = plan(recipe("smoke"), smoke_root)["distil"]
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    trackers = {
        "tensorboard": str(tmp_path / "board"),
        "wandb": "speech",
        "mlflow": f"sqlite:///{tmp_path}/mlflow.db",
    }
    runtime = Runtime(workers=2, cpus_per_worker=1, trackers=trackers)
    both = {"uri": str(tmp_path / "out"), "runtime": runtime}
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    try:
        files, counts, _ = distil.run(spec.model_copy(update=both))
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
    assert list(tmp_path.glob(f"wandb/offline-run-*/run-{run.name}.wandb"))
    mlflow = MlflowClient(tracking_uri=trackers["mlflow"])
    [tracked] = mlflow.search_runs([mlflow.get_experiment_by_name("aura").experiment_id])
    assert (tracked.info.run_name, tracked.info.status) == (run.name, "FINISHED")
    losses = mlflow.get_metric_history(tracked.info.run_id, "loss")
    assert [each.value for each in losses] == [r["loss"] for r in found]


@pytest.mark.parametrize(
    ("error", "tries"), [(ValueError("a bug"), 1), (AuraError("mend it"), 1), (OSError("lost"), 3)]
)
def test_only_a_lost_worker_is_replaced(monkeypatch, tmp_path, error, tries):
    begun = []

    def fit():
        begun.append(1)
        raise WorkerGroupError("failed", {0: UserExceptionWithTraceback(error, "trace")})

    monkeypatch.setattr(distil, "_trainer", lambda *_: SimpleNamespace(fit=fit))
    with pytest.raises(ray.train.TrainingFailedError):
        distil._fit(plan(recipe("smoke"), str(tmp_path))["distil"], None)
    assert len(begun) == tries


def test_a_worker_with_a_gpu_trains_on_the_one_that_ray_gave_it(tmp_path, monkeypatch):
    spec = plan(recipe("smoke"), str(tmp_path))["distil"]
    spec = spec.model_copy(update={"runtime": Runtime(workers=2, gpus_per_worker=1)})
    context, second, used = SimpleNamespace(get_world_rank=lambda: 1), torch.device("cuda:1"), []
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: second)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", used.append)
    monkeypatch.setattr(
        "aura_core.distil.run.train", lambda _, device, **_others: used.append(device)
    )
    distil._train({"spec": spec.model_dump_json(), "progress": None})
    assert used == [second, second]
