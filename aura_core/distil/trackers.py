"""A run's records for experiment trackers; `metrics.jsonl` stays the truth.

Imports a tracker's package only where it is used, and torch nowhere.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from aura_core.artifacts.digest import cache_folder
from aura_core.errors import AuraError

log = logging.getLogger("aura")

_EXPERIMENT = "aura"
# Of an MLflow server: parameters a request, characters a value.
_MAX_PARAMS, _MAX_PARAM_CHARS = 100, 6000


class Tracker(Protocol):
    """One run in one tracker. Writing must not wait for a network."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in a folder of the run's name, below `where`."""

    def __init__(self, where: str, run_name: str, settings: Mapping[str, Any]) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(Path(where).expanduser() / run_name))
        rows = (f"    {name}: {value}" for name, value in _flat(settings))
        self._writer.add_text("settings", "\n".join(rows))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """A run of the project `where`, PROJECT or ENTITY/PROJECT; $WANDB_MODE=offline keeps it here.

    Its files go to $WANDB_DIR, else below aura's cache folder: a worker's own folder is temporary.
    """

    def __init__(self, where: str, run_name: str, settings: Mapping[str, Any]) -> None:
        import wandb

        folder = Path(os.environ.get("WANDB_DIR") or cache_folder() / "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        entity, _, project = where.rpartition("/")
        self._run = wandb.init(
            entity=entity or None,
            project=project,
            id=run_name,
            name=run_name,
            resume="allow",
            config=dict(settings),
            dir=folder,
            settings=wandb.Settings(console="off", silent=True),
        )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of the experiment `aura` at the tracking URI `where`."""

    def __init__(self, where: str, run_name: str, settings: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient(tracking_uri=where)
        known = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = known.experiment_id if known else self._client.create_experiment(_EXPERIMENT)
        runs = self._client.search_runs([experiment], f"run_name = '{run_name}'", max_results=1)
        if runs:
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=run_name).info.run_id
            params = [Param(name, str(value)[:_MAX_PARAM_CHARS]) for name, value in _flat(settings)]
            for start in range(0, len(params), _MAX_PARAMS):
                self._client.log_batch(self._id, params=params[start : start + _MAX_PARAMS])
        self._sending: Any = None

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, step) for name, value in numbers.items()]
        self._sending = self._client.log_batch(self._id, metrics=metrics, synchronous=False)

    def close(self) -> None:
        if self._sending:
            self._sending.wait()
        self._client.set_terminated(self._id)


class Trackio:
    """A run of the project `where`, in $TRACKIO_DIR, or where $TRACKIO_SPACE_ID says."""

    def __init__(self, where: str, run_name: str, settings: Mapping[str, Any]) -> None:
        import trackio

        self._run = trackio.init(
            project=where,
            name=run_name,
            resume="allow",
            config=dict(settings),
            embed=False,
            auto_log_cpu=False,
        )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


@dataclass(frozen=True)
class Kind:
    """A tracker's module, the package that brings it, and what opens a run in it."""

    module: str
    package: str
    open: Callable[[str, str, Mapping[str, Any]], Tracker]


TRACKERS: Mapping[str, Kind] = {
    "tensorboard": Kind("tensorboardX", "tensorboardX", TensorBoard),
    "wandb": Kind("wandb", "wandb", Wandb),
    "mlflow": Kind("mlflow", "mlflow-skinny", MLflow),
    "trackio": Kind("trackio", "trackio", Trackio),
}


def require_packages(names: Iterable[str]) -> None:
    """Raise AuraError for a tracker whose package is not installed."""
    for name in names:
        if find_spec(TRACKERS[name].module) is None:
            package = TRACKERS[name].package
            raise AuraError(f"tracker {name}: {package} is not installed: pip install {package}")


class Trackers:
    """One run in all of its trackers."""

    def __init__(
        self, where: Mapping[str, str], run_name: str, settings: Mapping[str, Any]
    ) -> None:
        """Open the run; one of this name that is there is gone on with.

        Args:
            where: by the tracker's name, what `Runtime.trackers` says.
            run_name: the same for the same settings.
            settings: shown beside the curves; nested mappings of JSON values.

        Raises:
            AuraError: a tracker cannot be reached or refuses.
        """
        self._open: dict[str, Tracker] = {}
        for name, place in where.items():
            try:
                self._open[name] = TRACKERS[name].open(place, run_name, settings)
            except Exception as error:
                raise AuraError(f"tracker {name} at {place}: {error}") from error

    def write(self, record: Mapping[str, Any]) -> None:
        """Add every number of a step's record; those in a mapping get its name in front."""
        numbers = {name: float(value) for name, value in _flat(record, "/") if _is_number(value)}
        step = int(numbers.pop("step"))
        self._each(lambda tracker: tracker.write(step, numbers))

    def close(self) -> None:
        """Wait until everything is stored, and mark the run as finished."""
        self._each(lambda tracker: tracker.close())

    def _each(self, use: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                use(tracker)
            except Exception as error:  # noqa: BLE001 - each has errors of its own
                # Hours of training are worth more than their curves.
                log.warning("tracker %s fails and is left out from here on: %s", name, error)
                del self._open[name]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _flat(
    tree: Mapping[str, Any], separator: str = ".", prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, separator, f"{prefix}{name}{separator}")
        else:
            yield prefix + name, value
