"""The frame of the drivers, run as users and the flow run it."""

import ast
import errno
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from aura_core.config.recipes import recipe
from aura_core.config.stage import Runtime
from aura_core.config.train import TrainConfig
from aura_core.errors import AuraError
from aura_core.stages import plan
from tasks.jobs import driver
from tests.finished import finish

JOB = """
import logging
from tasks.jobs import driver

def run(spec):
    logging.getLogger("aura").info("%d shards planned", 3)
    return [], {}, {}

driver.main(run)
"""


@pytest.fixture
def spec(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["report"]
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    return spec


def log_of(tmp_path, **variables):
    command = [sys.executable, "-c", JOB, "--spec", str(tmp_path / "spec.json")]
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return result.stderr.splitlines()


def test_a_json_line_has_stage_and_fingerprint(spec, tmp_path):
    planned, done = map(json.loads, log_of(tmp_path, AURA_LOG_FORMAT="json"))
    assert planned["message"] == "3 shards planned"
    assert (planned["level"], planned["stage"]) == ("INFO", "report")
    assert planned["fingerprint"] == done["fingerprint"] == spec.fingerprint
    assert datetime.fromisoformat(planned["time"]).tzinfo


def test_a_person_reads_the_time_and_the_message(spec, tmp_path):
    planned, done = log_of(tmp_path, AURA_LOG_FORMAT="")
    assert planned[8:] == " 3 shards planned"
    assert done[8:].startswith(f" report {spec.fingerprint[:12]}: done in ")


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


NO_JOB = "from tasks.jobs import driver; driver.main(None)"


def run_driver(spec_uri, code=NO_JOB):
    """Run `code`, the body of a job module, with `--spec`."""
    return subprocess.run(
        [sys.executable, "-c", code, "--spec", str(spec_uri)],
        capture_output=True,
        text=True,
        check=False,
    )


def write_spec(spec):
    driver.store.write_text(spec.spec_uri, spec.model_dump_json())
    return spec.spec_uri


def test_a_missing_spec_is_one_line_and_exit_code_2(tmp_path):
    result = run_driver(tmp_path / "spec.json")
    assert result.returncode == 2
    assert result.stderr.startswith("error: no spec at ")
    assert result.stderr.count("\n") == 1


def test_what_is_not_a_spec_is_one_line_and_exit_code_2(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text("{}")
    result = run_driver(path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "is not a stage spec" in result.stderr


def test_a_finished_stage_starts_neither_ray_nor_its_job(specs):
    spec = specs["ingest"]
    finish(spec)
    code = (
        "import sys; from tasks.jobs import driver\n"
        "def run(spec): raise AssertionError('ran')\n"
        "try: driver.main(run)\n"
        "finally: assert 'ray' not in sys.modules"
    )
    result = run_driver(write_spec(spec), code)
    assert result.returncode == 0, result.stderr
    assert "kept" in result.stderr


def test_the_manifest_comes_last_and_names_what_was_published(specs, tmp_path):
    spec = specs["report"]
    code = (
        "from pathlib import Path; from tasks.jobs import driver\n"
        "def run(spec):\n"
        "    assert not Path(spec.uri, 'manifest.json').exists()\n"
        "    Path(spec.uri, 'b.txt').write_text('bb'); Path(spec.uri, 'a.txt').write_text('a')\n"
        "    return ['b.txt', 'a.txt'], {'rows': 3}, {'wer': 0.5}\n"
        "driver.main(run)"
    )
    result = run_driver(write_spec(spec), code)
    assert result.returncode == 0, result.stderr
    manifest = json.loads(
        (tmp_path / "report" / spec.fingerprint[:12] / "manifest.json").read_text()
    )
    assert [(entry["path"], entry["size_bytes"]) for entry in manifest["files"]] == [
        ("a.txt", 1),
        ("b.txt", 2),
    ]
    assert manifest["fingerprint"] == spec.fingerprint
    assert (manifest["counts"], manifest["metrics"]) == ({"rows": 3}, {"wer": 0.5})


def test_a_crash_keeps_its_traceback_and_publishes_nothing(specs, tmp_path):
    code = (
        "from tasks.jobs import driver\n"
        "def run(spec): raise ZeroDivisionError('the bug')\n"
        "driver.main(run)"
    )
    result = run_driver(write_spec(specs["report"]), code)
    assert result.returncode == 1
    assert "ZeroDivisionError: the bug" in result.stderr
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_mistake_is_found_however_ray_wraps_it():
    mistake = AuraError("mend this")
    wrapped = RayTaskError("f", "a long traceback", mistake).as_instanceof_cause()
    for error in [
        mistake,
        wrapped,
        WorkerGroupError("failed", {0: wrapped}),
        ControllerError(WorkerGroupError("failed", {0: mistake})),
    ]:
        assert str(driver.user_error(error)) == "mend this"
    assert driver.user_error(KeyError("x")) is None
    full = OSError(errno.ENOSPC, "No space left on device", "/cache/000001.tar")
    for error in (full, RayTaskError("f", "trace", full)):
        assert "No space left on device: /cache/000001.tar; make" in str(driver.user_error(error))
    # As safetensors tells it.
    full = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (full, WorkerGroupError("failed", {0: full})):
        assert str(driver.user_error(error)).startswith("No space left on device: the disk")
    assert driver.user_error(RayTaskError("f", "trace", KeyError("x"))) is None


def died():
    return ActorDiedError(ActorDiedErrorContext(class_name="Encoder", actor_id=bytes(16)))


def wrapped(error):
    return RayTaskError("f", "trace", error).as_instanceof_cause()


def in_training(*errors):
    return WorkerGroupError("failed", dict(enumerate(errors)))


IN_INIT = ActorDiedError(RayTaskError("__init__", "trace", ValueError("x"), pid=1, ip="::1"))
GLOO = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ValueError("a bug"), False),
        (wrapped(ValueError("a bug")), False),
        (in_training(UserExceptionWithTraceback(ValueError("a bug"), "trace")), False),
        (in_training(ValueError("a bug"), GLOO), False),
        (FileNotFoundError(errno.ENOENT, "no", "x"), False),
        (IN_INIT, False),
        (NoCredentialsError(), False),
        (OSError(errno.EIO, "Input/output error"), True),
        (wrapped(ConnectionResetError(errno.ECONNRESET, "reset")), True),
        (in_training(UserExceptionWithTraceback(OSError(errno.ESTALE, "stale"), "t")), True),
        (EndpointConnectionError(endpoint_url="http://s3"), True),
        (died(), True),
        (OutOfMemoryError("killed"), True),
        (in_training(WorkerHealthCheckFailedError("lost", died()), GLOO), True),
        (in_training(GLOO), True),
    ],
)
def test_what_may_pass_is_told_from_errors_of_the_code(error, passes):
    assert driver.user_error(error) is None
    assert driver.may_pass(error) is passes


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "Permission denied: /x; ",
        ),
        (wrapped(OSError(errno.EROFS, "Read-only file system", "/x")), "Read-only file system: /x"),
        (RuntimeError("I/O error: File too large (os error 27)"), "File too large: the disk"),
        (PermissionError("Access Denied"), "Access Denied: an object store refuses this"),
    ],
)
def test_what_the_system_refuses_for_good_is_a_mistake(error, said):
    assert str(driver.user_error(error)).startswith(said)


ONE_CALL = """
import ray
from tasks.jobs import driver

@ray.remote(max_restarts=3, max_task_retries=-1)
class Worker:
    def work(self, notes):
        with open(notes, "a") as file:
            file.write("called ")
        raise ERROR

def run(spec):
    ray.get(Worker.remote().work.remote(spec.uri + "-calls"))

driver.main(run)
"""


@pytest.mark.parametrize(
    ("error", "exit_code"), [("ValueError('name is too long')", 1), ("OSError(5, 'I/O error')", 75)]
)
def test_an_error_in_an_actor_is_called_once_and_told_from_what_may_pass(specs, error, exit_code):
    spec = specs["teacher_cache"]
    result = run_driver(write_spec(spec), ONE_CALL.replace("ERROR", error))
    assert result.returncode == exit_code, result.stderr
    assert "Traceback" in result.stderr
    assert Path(f"{spec.uri}-calls").read_text() == "called "


def test_the_typed_config_survives_the_spec(specs):
    config = recipe("smoke").distil
    spec = type(specs["distil"]).model_validate_json(specs["distil"].model_dump_json())
    assert driver.spec_config(spec, TrainConfig) == config


def test_resources_that_no_node_has_are_said_once_for_a_worker(caplog):
    runtime = Runtime(cpus_per_worker=2, gpus_per_worker=1, resources_per_worker={"a100": 1})
    # All of it is there, but not on one node.
    nodes = [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "a100": 1.0}, {}]
    driver._say_what_lacks(runtime, nodes)
    assert "no node of the cluster has 2 CPU, 1 GPU, 1 a100 for a worker" in caplog.text
    caplog.clear()
    driver._say_what_lacks(runtime, [*nodes, {"CPU": 2.0, "GPU": 1.0, "a100": 1.0}])
    assert not caplog.text


NEEDS_A_DISK = """
import ray
from tasks.jobs import driver
from tests.finished import finish

def where():
    return ray.get_runtime_context().get_assigned_resources()

def run(spec):
    options = driver.worker_options(spec.runtime)
    print(ray.get(ray.remote(where).options(**options).remote()))
    return [], {}, {}

driver.main(run)
"""


def test_a_worker_is_given_what_the_config_names(specs):
    runtime = Runtime(
        workers=2, cpus_per_worker=0.5, resources_per_worker={"fast_disk": 1}, placement="spread"
    )
    spec = specs["ingest"].model_copy(update={"runtime": runtime})
    result = run_driver(write_spec(spec), NEEDS_A_DISK)
    assert result.returncode == 0, result.stderr
    assert ast.literal_eval(result.stdout) == {"CPU": 0.5, "fast_disk": 1.0}
