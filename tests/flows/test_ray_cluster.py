"""A real Ray head: jobs by hand without Prefect, and stages sent there by `aura run`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import require_manifest
from aura_core.config.recipes import recipe
from aura_core.stages import plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tools, quiet_env):
    """The environment of a client of a cluster on this machine, and its job server's address."""
    port, gcs_port, agent_port = (tools.free_port() for _ in range(3))
    # Paths of sockets are short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        token = Path(folder, "token")
        token.touch(mode=0o600)
        token.write_text("0" * 64)
        env = quiet_env | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        start = [shutil.which("ray", path=env["PATH"]), "start", "--head", "--block"]
        start += ["--port", str(gcs_port), "--dashboard-port", str(port), "--num-cpus", "2"]
        start += ["--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"]
        start += ["--temp-dir", folder, "--disable-usage-stats"]
        # Its default is one fixed port: beside another Ray, no agent would be there to start jobs.
        start += ["--dashboard-agent-listen-port", str(agent_port)]
        address = f"http://127.0.0.1:{port}"
        with tools.background(start, env, Path(folder, "head.log")):
            tools.wait_for(lambda: tools.listens(port), "the job server")
            tools.wait_for(lambda: takes_jobs(address, env), "the agent that starts jobs")
            yield env, address


def takes_jobs(address, env):
    """The job server answers some time before anyone is there to start a job."""
    submit = ["ray", "job", "submit", "--address", address, "--no-wait", "--", "true"]
    return subprocess.run(submit, env=env, capture_output=True, check=False).returncode == 0


@pytest.fixture
def root(smoke_root, tmp_path):
    """A copy of the smoke run's corpus, with nothing made from it yet."""
    specs = plan(recipe("smoke"), smoke_root)
    shutil.copytree(specs["ingest"].uri, tmp_path / "ingest" / Path(specs["ingest"].uri).name)
    return str(tmp_path)


def test_ray_job_submit_makes_the_teacher_cache_without_prefect(tools, cluster, root, smoke_root):
    env, address = cluster
    spec = plan(recipe("smoke"), root)["teacher_cache"]
    store.write_text(spec.spec_uri, spec.model_dump_json())
    submit = ["ray", "job", "submit", "--address", address, "--working-dir", "."]
    job = ["python", "-m", "tasks.jobs.teacher_cache", "--spec", spec.spec_uri]
    said = tools.run([*submit, "--", *job], env)
    assert "succeeded" in said
    # The same bytes as the ones made by the flow.
    flow_made = plan(recipe("smoke"), smoke_root)["teacher_cache"]
    assert require_manifest(spec.uri).files == require_manifest(flow_made.uri).files


def test_aura_run_sends_its_stages_to_the_cluster(tools, cluster, root):
    env, address = cluster
    command = ["aura", "run", "--recipe", "smoke", "--root", root, "--until", "teacher_cache"]
    said = tools.run([*command, "--launch", address], env)
    spec = plan(recipe("smoke"), root)["teacher_cache"]
    assert f"submitting job aura-teacher_cache-{spec.fingerprint[:12]}-a1" in said
    assert require_manifest(spec.uri).counts


def test_the_status_knows_the_clusters_resources(cluster):
    env, address = cluster
    code = (
        "import sys; from flows.server_status import read_machines;"
        "print(read_machines(sys.argv[1]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, address], env=env, capture_output=True, text=True, check=False
    )
    assert f"where='{address}', nodes=1, resources={{'CPU': 2.0}}" in said.stdout, said.stderr
