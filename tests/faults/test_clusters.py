"""Stages sent to a Ray cluster, struck in mid-run (the matrix is told in conftest.py)."""

import os
import signal
import subprocess
import tempfile
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.faults
# Stage -> the workers that make it, as their processes are called.
WORKERS = {
    "ingest": "ray::make_part",
    "teacher_cache": "ray::Encoder",
    "text_lora": "ray::RayTrainWorker",
    "distil": "ray::RayTrainWorker",
    "evaluate": "ray::Pred",
}


class Cluster:
    """A head without CPUs and nodes of two, all processes of this machine."""

    def __init__(self, tools, folder: Path, env: dict[str, str]) -> None:
        self._tools, self._folder, self.env = tools, folder, env
        self._head_port, self._dashboard_port = tools.free_port(), tools.free_port()
        self.address = f"http://127.0.0.1:{self._dashboard_port}"
        self._nodes: list[subprocess.Popen] = []

    def start(self) -> None:
        """Start the head and two nodes; return when it takes jobs."""
        head = ["--head", "--port", str(self._head_port), "--num-cpus", "0"]
        head += ["--dashboard-port", str(self._dashboard_port), "--dashboard-host", "127.0.0.1"]
        head += ["--ray-client-server-port", str(self._tools.free_port())]
        self._start_node(head)
        for _ in range(2):
            self.add_node()
        self._tools.wait_for(self._takes_jobs, "the agent that starts jobs", 300)

    def add_node(self) -> None:
        self._start_node(["--address", f"127.0.0.1:{self._head_port}", "--num-cpus", "2"])

    def kill_node_of(self, worker: int) -> None:
        """SIGKILL the node that a worker process belongs to, and all that it runs."""
        above = {each.pid for each in psutil.Process(worker).parents()}
        (node,) = (each for each in self._nodes if each.pid in above)
        self._kill(node)

    def kill(self) -> None:
        for node in list(self._nodes):
            self._kill(node)

    def _kill(self, node: subprocess.Popen) -> None:
        for each in [*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        node.wait()
        self._nodes.remove(node)

    def _start_node(self, options: list[str]) -> None:
        command = ["ray", "start", "--block", "--disable-usage-stats", *options]
        command += ["--node-ip-address", "127.0.0.1", "--object-store-memory", "100000000"]
        # Nodes unpack a job's code below their folder; in a shared one, over each other's.
        command += ["--temp-dir", tempfile.mkdtemp(dir=self._folder)]
        # Their defaults are one fixed port and one range, which the next node would miss.
        command += ["--min-worker-port", "0", "--max-worker-port", "0"]
        command += ["--dashboard-agent-listen-port", str(self._tools.free_port())]
        # On a busy machine Ray gives up a node that was not there within half a minute.
        for _ in range(3):
            log = self._folder / f"{uuid.uuid4().hex}.log"
            with log.open("wb") as output:
                node = subprocess.Popen(
                    command, env=self.env, stdout=output, stderr=output, start_new_session=True
                )
            self._nodes.append(node)
            self._tools.wait_for(partial(has_settled, node, log), "a node", 300)
            if node.poll() is None:
                return
            self._nodes.remove(node)
        pytest.fail(f"no node was started: {log.read_text()}")

    def _takes_jobs(self) -> bool:
        submit = ["ray", "job", "submit", "--address", self.address, "--no-wait", "--", "true"]
        result = subprocess.run(submit, env=self.env, capture_output=True, check=False)
        return result.returncode == 0


def has_settled(node: subprocess.Popen, log: Path) -> bool:
    return "Ray runtime started" in log.read_text() or node.poll() is not None


@pytest.fixture(scope="module")
def cluster(tools, quiet_env):
    # Paths of sockets are short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        token = Path(folder, "token")
        token.touch(mode=0o600)
        token.write_text("0" * 64)
        env = quiet_env | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "AURA_TEST_MARK": uuid.uuid4().hex,
            # Ray's default of 15 lets all else on the machine go first.
            "RAY_worker_niceness": "0",
        }
        started = Cluster(tools, Path(folder), env)
        try:
            started.start()
            yield started
        finally:
            started.kill()
            for pid in tools.processes_with(env["AURA_TEST_MARK"]):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_killed_node_costs_no_more_than_its_work(
    faults, in_background, cluster, aura_run, root_without
):
    root = root_without(*WORKERS)
    command = aura_run(root, "--launch", cluster.address)
    with in_background(command, cluster.env) as (process, log):
        for stage, worker in WORKERS.items():
            faults.wait_until_at_work(cluster.env, root, stage, process)
            cluster.kill_node_of(faults.processes(cluster.env, worker)[0])
            cluster.add_node()
        assert process.wait(900) == 0, log.read_text()
    faults.check_end(root)
    said = log.read_text()
    assert all(f"job aura-{stage}-" in said for stage in WORKERS)
    assert "-a2" not in said, "no job was submitted twice"


def test_who_waits_for_a_job_may_end(faults, in_background, cluster, aura_run, root_without, tools):
    root = root_without("distil", "evaluate")
    command = aura_run(root, "--launch", cluster.address, "--until", "distil")
    with in_background(command, cluster.env) as (process, _):
        faults.wait_until_at_work(cluster.env, root, "distil", process)
        process.kill()
    with in_background(command, cluster.env) as (process, log):
        tools.wait_for(lambda: "adopting job aura-distil-" in log.read_text(), "adoption")
        assert faults.drivers(cluster.env, "distil")
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 128 + signal.SIGINT
    at_work = WORKERS["distil"]
    tools.wait_for(lambda: not faults.processes(cluster.env, at_work), "the end of the training")
    tools.wait_for(lambda: not faults.drivers(cluster.env, "distil"), "the end of its driver")
    with in_background(command, cluster.env) as (process, log):
        assert process.wait(600) == 0, log.read_text()
    assert "submitting job aura-distil-" in log.read_text()
    faults.check_end(root, ("ingest", "teacher_cache", "text_lora", "distil"))


def test_a_lost_cluster_is_waited_for(faults, in_background, cluster, aura_run, root_without):
    root = root_without("distil", "evaluate")
    command = aura_run(root, "--launch", cluster.address, "--until", "distil")
    with in_background(command, cluster.env) as (process, log):
        faults.wait_until_at_work(cluster.env, root, "distil", process)
        cluster.kill()
        cluster.start()
        assert process.wait(900) == 0, log.read_text()
    assert "waiting for its cluster" in log.read_text()
    faults.check_end(root, ("ingest", "teacher_cache", "text_lora", "distil"))
