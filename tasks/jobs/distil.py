"""Ray driver of the stages `distil` and `text_lora`: train a LoRA from the teacher cache.

python -m tasks.jobs.distil --spec URI
"""

import logging
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer
from tqdm import tqdm

from aura_core.artifacts import store
from aura_core.config.train import STUDENT_FILES, STUDENT_FOLDERS, TrainConfig
from aura_core.distil.trackers import require_packages
from aura_core.report.history import read_history
from aura_core.stages import StageSpec
from tasks.jobs import driver

log = logging.getLogger("aura")

_MAX_FAILURES = 2
_POLL_S = 1.0


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Progress:
    """The newest record of the worker, for the driver's progress bar."""

    def __init__(self) -> None:
        self._newest: dict[str, Any] = {"step": 0}

    def put(self, record: dict[str, Any]) -> None:
        """Remember the record of a finished step."""
        self._newest = record

    def newest(self) -> dict[str, Any]:
        """Return the record put last."""
        return self._newest


def run(spec: StageSpec) -> driver.Outcome:
    """Train (or go on training) and return the published files, counts and metrics."""
    config = driver.spec_config(spec, TrainConfig)
    require_packages(spec.runtime.trackers)
    progress = Progress.remote()
    done = _in_background(lambda: _fit(spec, progress))
    _show(progress, sum(phase.steps for phase in config.phases), spec.name, done)
    done.result()
    return _outcome(spec)


def _fit(spec: StageSpec, progress: Any) -> None:
    """Train; where a worker is lost, again, from the newest checkpoint.

    Ray Train would try again after any error, those of the code among them.
    """
    for left in reversed(range(_MAX_FAILURES + 1)):
        try:
            with tempfile.TemporaryDirectory(prefix="aura-train-") as scratch:
                _trainer(spec, progress, scratch).fit()
            return
        except TrainingFailedError as error:
            if not left or driver.user_error(error) or not driver.may_pass(error):
                raise
            log.warning("%s: lost a worker, going on from the newest checkpoint", spec.name)


def _trainer(spec: StageSpec, progress: Any, scratch: str) -> TorchTrainer:
    return TorchTrainer(
        _train,
        train_loop_config={"spec": spec.model_dump_json(), "progress": progress},
        scaling_config=ScalingConfig(
            num_workers=spec.runtime.workers,
            use_gpu=spec.runtime.gpus_per_worker > 0,
            resources_per_worker=driver.worker_resources(spec.runtime),
            placement_strategy=spec.runtime.placement.upper(),
        ),
        run_config=RunConfig(
            name=f"{spec.stage}-{spec.fingerprint[:12]}",
            storage_path=scratch,
            failure_config=FailureConfig(max_failures=0),
        ),
    )


def _in_background(work: Callable[[], Any]) -> "Future[Any]":
    """Run `work` in a daemon thread: a signal then ends the driver without waiting for it."""
    done: Future[Any] = Future()

    def settle() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(error)

    Thread(target=settle, name="ray-train", daemon=True).start()
    return done


def _show(progress: Any, total: int, name: str, done: "Future[Any]") -> None:
    with tqdm(total=total, desc=name, unit="step", mininterval=_POLL_S) as bar:
        while True:
            ended = done.done()
            record = ray.get(progress.newest.remote())
            shown = ("loss", "ce", "kl", "text_ce", "distil", "ctc", "samples_per_s")
            bar.set_postfix(
                {key: f"{record[key]:.3g}" for key in shown if key in record}, refresh=False
            )
            bar.update(record["step"] - bar.n)
            if ended:
                return
            time.sleep(_POLL_S)


def _train(loop_config: dict[str, Any]) -> None:
    """The worker: everything that needs torch happens here."""
    import torch

    from aura_core.device import device_for
    from aura_core.distil.run import train
    from aura_core.distil.trackers import Trackers

    spec = StageSpec.model_validate_json(loop_config["spec"])
    config = driver.spec_config(spec, TrainConfig)
    torch.set_num_threads(max(1, int(spec.runtime.cpus_per_worker)))
    progress = loop_config["progress"]
    is_first = ray.train.get_context().get_world_rank() == 0
    device = device_for(spec.runtime)
    if device.type == "cuda":
        # Ray Train shows a worker all GPUs of its node's workers.
        device = ray.train.torch.get_device()
        torch.cuda.set_device(device)

    name = f"{spec.name}-{spec.fingerprint[:12]}"
    trackers = Trackers(spec.runtime.trackers if is_first else {}, name, spec.identity)

    def report(record: dict[str, Any]) -> None:
        if is_first:
            progress.put.remote(record)
        trackers.write(record)
        # Every report is a round trip to Ray Train's controller.
        if record["step"] % config.checkpoint_every_steps == 0:
            ray.train.report({key: v for key, v in record.items() if isinstance(v, int | float)})

    train(
        config,
        device=device,
        cache_uri=spec.inputs["teacher_cache"],
        text_lora_uri=spec.inputs.get("text_lora"),
        targets_uri=spec.inputs.get("targets"),
        output_uri=spec.uri,
        on_step=report,
    )
    trackers.close()


def _outcome(spec: StageSpec) -> driver.Outcome:
    names = list(STUDENT_FILES)
    for folder in STUDENT_FOLDERS:
        names += [f"{folder}/{name}" for name in store.list_names(store.join(spec.uri, folder))]
    files = [name for name in names if store.exists(store.join(spec.uri, name))]
    records = read_history(spec.uri).records
    last = records[-1]
    waited_s = sum(record["data_wait_s"] for record in records)
    metrics = {"final": last, "data_wait_share": waited_s / last["elapsed_s"]}
    return files, {"steps": last["step"]}, metrics


if __name__ == "__main__":
    driver.main(run)
