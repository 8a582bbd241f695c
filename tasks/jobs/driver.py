"""The frame of every Ray driver: read the spec, run the stage, publish the manifest.

    python -m tasks.jobs.<job> --spec URI

Exit codes: 0 done or already there, 2 a mistake the user can mend (one line
`error: ...` on stderr), 130 and 143 interrupted and terminated, 1 a crash.
"""

import argparse
import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.lock import only_maker
from aura_core.artifacts.manifest import (
    Outcome,
    provenance,
    publish_manifest,
    read_manifest,
)
from aura_core.errors import AuraError
from aura_core.pipeline import StageSpec
from aura_core.stage_config import Runtime, StageConfig, single_node
from tasks.jobs.log_lines import start_logging
from tasks.jobs.quiet import set_quiet
from tasks.stage_driver import JOBS, cluster_address

Run = Callable[[StageSpec], Outcome]
ConfigT = TypeVar("ConfigT", bound=StageConfig)

log = logging.getLogger("aura")

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


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
    set_quiet()
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
        mistake = user_error(error)
        if mistake is None:
            raise
        print(f"error: {mistake}", file=sys.stderr, flush=True)
        sys.exit(2)
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
    """Find the AuraError that caused `error`, however Ray has wrapped it."""
    # Ray raises a class made of its own error and ours: the plain one is its `cause`.
    if isinstance(error, AuraError) and not hasattr(error, "cause"):
        return error
    if (number := _no_space(error)) is not None:
        where = getattr(error, "filename", None) or "the disk of --root or of temporary files"
        return AuraError(
            f"{os.strerror(number)}: {where}; make room and run again: what is finished is kept"
        )
    causes = [
        getattr(error, "cause", None),
        getattr(error, "controller_failure", None),
        *getattr(error, "worker_failures", {}).values(),
        error.__cause__,
    ]
    found = (user_error(cause) for cause in causes if isinstance(cause, BaseException))
    return next((mistake for mistake in found if mistake is not None), None)


def _no_space(error: BaseException) -> int | None:
    """The error number of a full disk; libraries written in Rust tell it in their text only."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return error.errno
    return next((each for each in _NO_SPACE if f"(os error {each})" in str(error)), None)


def _parse_spec_uri() -> str:
    parser = argparse.ArgumentParser(
        description="Make one stage's artifact on Ray, from a frozen spec.",
        epilog="The artifact goes beside the spec; its manifest.json comes last. A stage whose "
        "manifest is there is not run again. With RAY_ADDRESS set (as in `ray job submit "
        "--working-dir . -- python -m tasks.jobs.precompute --spec URI`) the work runs on that "
        "cluster, else on a private Ray on this machine.",
    )
    parser.add_argument("--spec", required=True, metavar="URI", help="a spec.json, local or s3://")
    return str(parser.parse_args().spec)


def _make(spec: StageSpec, run: Run, signals: _Signals) -> None:
    name = f"{spec.name} {spec.fingerprint[:12]}"
    with only_maker(spec.uri, lambda: log.info("%s: waiting for who makes it already", name)):
        if read_manifest(spec.uri) is not None:
            log.info("%s: hit", name)
            return
        _run(spec, run, signals, name)


def _run(spec: StageSpec, run: Run, signals: _Signals, name: str) -> None:
    started = time.monotonic()
    with _ray(spec, signals) if JOBS[spec.stage].uses_ray else nullcontext():
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
