"""The frame of every Ray driver: read the spec, run the stage, publish the manifest.

    python -m tasks.jobs.<job> --spec URI

Exit codes: 0 done or already there, 2 a mistake the user can mend (one line
`error: ...` on stderr), 75 a failure that may pass by itself, 130 and 143 interrupted and
terminated, 1 a crash.
"""

import argparse
import logging
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn, TypeVar

from botocore.exceptions import ConnectionError as StorageConnectionError
from botocore.exceptions import HTTPClientError
from pydantic import ValidationError
from pythonjsonlogger.json import JsonFormatter

from aura_core.artifacts import store
from aura_core.artifacts.manifest import (
    Outcome,
    only_maker,
    provenance,
    publish_manifest,
    read_manifest,
)
from aura_core.config.stage import Runtime, StageConfig, single_node
from aura_core.errors import ADVICE, AuraError, system_error_line
from aura_core.stages import STAGES, StageSpec
from tasks.stage_driver import (
    MISTAKE_EXIT_CODE,
    PASSING_EXIT_CODE,
    cluster_address,
    turn_telemetry_off,
)

# How a driver's log lines look: for a person, or one JSON object each for a log store.

FORMAT = "AURA_LOG_FORMAT"


def start_logging(spec: StageSpec) -> None:
    """Send log lines to stderr; with $AURA_LOG_FORMAT=json as JSON with stage and fingerprint."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get(FORMAT) == "json":
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{message}",
                style="{",
                datefmt="%Y-%m-%dT%H:%M:%S%z",
                rename_fields={"asctime": "time", "levelname": "level"},
                static_fields={"stage": spec.name, "fingerprint": spec.fingerprint},
            )
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


Run = Callable[[StageSpec], Outcome]
ConfigT = TypeVar("ConfigT", bound=StageConfig)

log = logging.getLogger("aura")

# How libraries written in Rust tell an error of the system: in their text only.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
# What a training worker says when another one is gone: gloo and NCCL.
_OF_A_PEER = re.compile(r"gloo/transport|NCCL|Connection (closed|reset) by peer")
# They say that something is not as the code expects it, which waiting does not change.
_LASTING = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


class _Signals:
    """SIGTERM and SIGINT end the driver in good order."""

    def __init__(self) -> None:
        self.received: int | None = None

    def catch(self) -> None:
        """(Re)install the handlers: `ray.init` puts its own in their place."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def ignore(self) -> None:
        """Let the clean-up finish; whoever is in a hurry sends SIGKILL."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _stop(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.received = number
        raise KeyboardInterrupt


def main(run: Run) -> NoReturn:
    """Parse `--spec`, make that stage's artifact with `run`, and exit."""
    spec_uri = _parse_spec_uri()
    turn_telemetry_off()
    signals = _Signals()
    signals.catch()
    try:
        spec = read_spec(spec_uri)
        start_logging(spec)
        _make(spec, run, signals)
    except BaseException as error:
        # Asked of the signals, not of the exception: Ray's C++ code may have turned it.
        if signals.received is not None:
            log.info("stopped; running it again goes on from what is finished")
            sys.exit(128 + signals.received)
        if (mistake := user_error(error)) is not None:
            print(f"error: {mistake}", file=sys.stderr, flush=True)
            sys.exit(MISTAKE_EXIT_CODE)
        if not may_pass(error):
            raise
        traceback.print_exception(error)
        sys.exit(PASSING_EXIT_CODE)
    sys.exit(0)


def spec_config(spec: StageSpec, model: type[ConfigT]) -> ConfigT:
    """Rebuild the stage's typed config from its spec."""
    identity = {name: value for name, value in spec.identity.items() if name != "pinned"}
    return model.model_validate({**identity, "runtime": spec.runtime})


def worker_resources(runtime: Runtime) -> dict[str, float]:
    """What one worker of a stage takes, by Ray's names."""
    gpus = {"GPU": runtime.gpus_per_worker} if runtime.gpus_per_worker else {}
    return {"CPU": runtime.cpus_per_worker, **gpus, **runtime.resources_per_worker}


def worker_options(runtime: Runtime) -> dict[str, Any]:
    """What a Ray task or actor of a stage asks of the cluster."""
    return {
        "num_cpus": runtime.cpus_per_worker,
        "num_gpus": runtime.gpus_per_worker,
        "resources": runtime.resources_per_worker,
        "scheduling_strategy": {"pack": "DEFAULT", "spread": "SPREAD"}[runtime.placement],
    }


def read_spec(uri: str) -> StageSpec:
    """Read a `spec.json`. Raises AuraError if it is missing or not a spec."""
    try:
        return StageSpec.model_validate_json(store.read_text(uri))
    except FileNotFoundError:
        raise AuraError(
            f"no spec at {uri}: `aura run` writes one to <root>/<stage>/<fingerprint>/"
        ) from None
    except ValidationError as error:
        raise AuraError(f"{uri} is not a stage spec: {error.errors()[0]['msg']}") from error


def user_error(error: BaseException) -> AuraError | None:
    """Find what the user can mend that caused `error`, however Ray has wrapped it."""
    found = (_as_mistake(each) for each in _causes(error))
    return next((mistake for mistake in found if mistake is not None), None)


def may_pass(error: BaseException) -> bool:
    """Whether what failed may go well by itself: a worker or a node was lost, or input and output.

    An error of the code, also in a worker's `__init__`, comes again with every try.
    """
    causes = list(_causes(error))
    return any(map(_passes, causes)) or all(_OF_A_PEER.search(str(each)) for each in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what Ray and Ray Train have wrapped, or the error itself if they have not."""
    inner = [
        getattr(error, "cause", None),
        getattr(error, "controller_failure", None),
        getattr(error, "health_check_failure", None),
        getattr(error, "_base_exc", None),
        *getattr(error, "worker_failures", {}).values(),
    ]
    wrapped = [each for each in inner if isinstance(each, BaseException)]
    for each in wrapped:
        yield from _causes(each)
    # Ray raises a class made of its own error and ours: the plain one is its `cause`.
    if not wrapped:
        yield error
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


def _as_mistake(error: BaseException) -> AuraError | None:
    if isinstance(error, AuraError):
        return error
    if isinstance(error, PermissionError) and error.errno is None:
        return AuraError(f"{system_error_line(error)}: an object store refuses this; check rights")
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := _OS_ERROR.search(str(error))):
        number = int(told[1])
    if number not in ADVICE:
        return None
    where = getattr(error, "filename", None) or "the disk of --root or of temporary files"
    return AuraError(f"{system_error_line(OSError(number, ''), where)}: what is finished is kept")


def _passes(error: BaseException) -> bool:
    from ray import exceptions as of_ray
    from ray.train.v2._internal.exceptions import WorkerHealthCheckTimeoutError
    from ray.train.v2.api.exceptions import PreemptionError

    if isinstance(error, of_ray.RayActorError):
        return not error.actor_init_failed
    if isinstance(error, OSError | StorageConnectionError | HTTPClientError):
        return not isinstance(error, _LASTING)
    return isinstance(
        error,
        of_ray.WorkerCrashedError
        | of_ray.NodeDiedError
        | of_ray.LocalRayletDiedError
        | of_ray.ObjectLostError
        | of_ray.OutOfMemoryError
        | of_ray.RaySystemError
        | of_ray.RpcError
        | PreemptionError
        | WorkerHealthCheckTimeoutError,
    )


def _parse_spec_uri() -> str:
    parser = argparse.ArgumentParser(
        description="Make one stage's artifact on Ray, from a frozen spec.",
        epilog="The artifact goes beside the spec; its manifest.json comes last. A stage whose "
        "manifest is there is not run again. With RAY_ADDRESS set (as in `ray job submit "
        "--working-dir . -- python -m tasks.jobs.teacher_cache --spec URI`) the work runs on that "
        "cluster, else on a private Ray on this machine.",
    )
    parser.add_argument("--spec", required=True, metavar="URI", help="a spec.json, local or s3://")
    return str(parser.parse_args().spec)


def _make(spec: StageSpec, run: Run, signals: _Signals) -> None:
    name = f"{spec.name} {spec.fingerprint[:12]}"
    with only_maker(spec.uri, lambda: log.info("%s: waiting for who makes it already", name)):
        if read_manifest(spec.uri) is not None:
            log.info("%s: kept, as it is finished", name)
            return
        _run(spec, run, signals, name)


def _run(spec: StageSpec, run: Run, signals: _Signals, name: str) -> None:
    started = time.monotonic()
    with _ray(spec, signals) if STAGES[spec.stage].uses_ray else nullcontext():
        outcome = run(spec)
    publish(spec, outcome)
    log.info("%s: done in %.0f s", name, time.monotonic() - started)


def publish(spec: StageSpec, outcome: Outcome) -> None:
    """Write the manifest of a finished stage, which makes it one."""
    publish_manifest(
        spec.uri,
        outcome,
        stage=spec.stage,
        stage_version=spec.stage_version,
        fingerprint=spec.fingerprint,
        identity=spec.identity,
        inputs=spec.inputs,
        provenance=provenance(),
    )


@contextmanager
def _ray(spec: StageSpec, signals: _Signals) -> Iterator[None]:
    """Attach to the cluster this process belongs to, or start a private local Ray."""
    import ray

    from tasks.jobs import private_ray

    try:
        if address := cluster_address():
            ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
            _say_what_lacks(spec.runtime, [node["Resources"] for node in ray.nodes()])
        else:
            private_ray.start(single_node([spec.runtime]))
        signals.catch()
        yield
    finally:
        signals.ignore()
        ray.shutdown()
        signals.catch()


def _say_what_lacks(runtime: Runtime, nodes: Sequence[Mapping[str, float]]) -> None:
    """Say that no node could take a worker: Ray waits for one that may never come."""
    wanted = worker_resources(runtime)
    if any(all(node.get(name, 0) >= wanted[name] for name in wanted) for node in nodes):
        return
    asked = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
    log.warning("no node of the cluster has %s for a worker: waiting for one", asked)
