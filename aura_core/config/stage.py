"""What every stage's config is made of: frozen models, identity apart from runtime.

Everything in a stage's config except `runtime` changes its result, and so its
fingerprint; `runtime` says only where and how fast the work is done.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

_T = TypeVar("_T")

# Whisper's states, and two, four or eight of them together.
TEACHER_RATE_HZ = 50.0
TOKEN_RATES_HZ = (25.0, 12.5, 6.25)
# What a model hears of one clip at most, as Whisper does; whoever decodes audio refuses more.
MAX_CLIP_S = 30.0


TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]


def one_of(value: _T, choices: Sequence[_T]) -> _T:
    """Return `value`. Raises ValueError, which names the choices, if it is none of them."""
    if value not in choices:
        raise ValueError(f"choose one of {', '.join(map(str, choices))}")
    return value


class Frozen(BaseModel):
    """Immutable, and refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Runtime(Frozen):
    """Resources of one stage; never part of its identity."""

    workers: int = Field(2, ge=1, description="Ray workers")
    cpus_per_worker: float = Field(1, gt=0, description="CPU cores of each worker")
    gpus_per_worker: float = Field(0, ge=0, description="GPUs of each worker")
    resources_per_worker: dict[str, float] = Field(
        {}, description="others of the cluster's resources, by the names its nodes give them"
    )
    placement: Literal["pack", "spread"] = Field(
        "pack", description="workers on few nodes, or on as many as there are"
    )
    trackers: dict[TrackerName, str] = Field(
        {},
        description="training: where the curves go, besides metrics.jsonl. tensorboard: a folder; "
        "wandb: PROJECT or ENTITY/PROJECT; mlflow: a tracking URI; trackio: a project",
    )
    checkpoint_activations: bool = Field(
        False, description="training: compute blocks again going backward instead of keeping all"
    )
    shard_frozen_weights: bool = Field(
        False,
        description="training: each worker keeps a part of the LLM's frozen blocks (FSDP2), for "
        "an LLM too large for one GPU",
    )
    micro_batch_utterances: int | None = Field(
        None, ge=1, description="training: clips a worker holds at once, their gradients added up"
    )

    @field_validator("trackers")
    @classmethod
    def _find_anywhere(cls, trackers: dict[TrackerName, str]) -> dict[TrackerName, str]:
        """Training runs in a folder of its own: what is relative would be lost with it."""
        folder, uri = trackers.get("tensorboard"), trackers.get("mlflow")
        if folder is not None and not folder.startswith(("/", "~")):
            raise ValueError(f"tensorboard: {folder!r} is not an absolute folder")
        if uri is not None and not re.match(r"https?://|sqlite:////|[a-z0-9+]+://[^/]", uri):
            raise ValueError(
                f"mlflow: {uri!r} is not http://HOST:PORT or sqlite:////ABSOLUTE/FILE.db"
            )
        return trackers


class NodeSize(Frozen):
    """What a single machine must offer."""

    cpus: int
    resources: dict[str, float] = {}


def single_node(runtimes: Iterable[Runtime]) -> NodeSize:
    """The smallest machine on which each of the stages can run when it has it to itself."""
    cpus, resources = 1, dict[str, float]()
    for runtime in runtimes:
        cpus = max(cpus, math.ceil(runtime.workers * runtime.cpus_per_worker))
        for name, amount in runtime.resources_per_worker.items():
            resources[name] = max(resources.get(name, 0.0), amount * runtime.workers)
    return NodeSize(cpus=cpus, resources=resources)


class StageConfig(Frozen):
    """A stage's settings."""

    runtime: Runtime = Runtime()

    def identity(self) -> dict[str, Any]:
        """The settings that change the result, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"runtime"})
