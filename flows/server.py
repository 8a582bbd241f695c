"""The processes of `aura up`, a Prefect server and a worker, and how they are found again."""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from aura_core.artifacts.digest import cache_folder
from aura_core.errors import AuraError
from flows import local_prefect, work_pool

# Processes that outlive the command that started them, found again by a mark they inherit.
#
# A mark in the environment also finds what a killed parent has left behind, and is never somebody
# else's process that was given an old process id.

MARK = "AURA_UP"


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process in a session of its own, its output appended to `log`; return its id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process.pid


def is_alive(pid: int, mark: str) -> bool:
    """Whether this process lives and bears the mark."""
    try:
        return _bears(psutil.Process(pid), mark)
    except psutil.NoSuchProcess:
        return False


def find(mark: str) -> list[psutil.Process]:
    """Return every live process that bears the mark."""
    return [process for process in psutil.process_iter() if _bears(process, mark)]


def stop_processes(processes: Sequence[psutil.Process], grace_s: float) -> None:
    """Ask the processes to end; kill those that have not after `grace_s`."""
    for process in processes:
        _send(process, "terminate")
    _, left = psutil.wait_procs(processes, timeout=grace_s)
    for process in left:
        _send(process, "kill")
    psutil.wait_procs(left, timeout=grace_s)


def _bears(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARK) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _send(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return


# What `aura up` started, remembered in a file so that other commands find it.


@dataclass(frozen=True)
class ServerState:
    """A Prefect server and its worker, started by `aura up`."""

    url: str  # of the API
    mark: str  # in the environment of every process that descends from them
    server_pid: int
    worker_pid: int
    root: str  # where the worker's runs put artifacts by default

    @property
    def ui_url(self) -> str:
        return self.url.removesuffix("/api")

    @property
    def server_lives(self) -> bool:
        return is_alive(self.server_pid, self.mark)

    @property
    def worker_lives(self) -> bool:
        return is_alive(self.worker_pid, self.mark)


def server_home() -> Path:
    """`$AURA_SERVER_HOME`, or `~/.cache/aura/server`: logs, the SQLite file, the state."""
    return Path(os.environ.get("AURA_SERVER_HOME") or cache_folder() / "server").absolute()


def read_state() -> ServerState | None:
    """Return what the last `aura up` started, whether or not it lives; None after `aura down`.

    Raises:
        AuraError: the file is damaged.
    """
    path = _path()
    try:
        return ServerState(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise AuraError(
            f"{path} is damaged ({error}): end the processes with {MARK} in their "
            "environment by hand, and delete the file"
        ) from error


def write_state(state: ServerState) -> None:
    """Replace the file as a whole."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(state), indent=2) + "\n")
    draft.replace(path)


def forget_state() -> None:
    _path().unlink(missing_ok=True)


def _path() -> Path:
    return server_home() / "state.json"


PREFECT_FILE = Path(__file__).parents[1] / "infra" / "prefect.yaml"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WORKER_START_S = 300
_CANCEL_S = 60
_GRACE_S = 20
_NOT_STARTED = 0

Tell = Callable[[str], None]


def start(host: str, port: int, root: str, limit: int | None, tell: Tell) -> ServerState:
    """Start what is not running yet, and return when the worker takes runs.

    Args:
        host: that the server listens on.
        port: of the server.
        root: folder or URI for the artifacts of runs that name none.
        limit: how many flow runs may work at once; None leaves it as it is, at first one.
        tell: gets a line for each step.

    Raises:
        AuraError: the port is taken, or a process did not start.
    """
    state = read_state()
    if state and not state.server_lives:
        state = _take_up(state, _api_url(host, port), tell)
    if state is None or not state.server_lives:
        state = _start_server(host, port, root, state, tell)
    else:
        tell(f"the server is already running (process {state.server_pid})")
    log = server_home() / "server.log"
    local_prefect.wait_until_healthy(state.url, lambda: state.server_lives, log)
    with work_pool.connect(state.url) as client:
        work_pool.ensure(client, limit)
        if state.worker_lives:
            tell(f"the worker is already running (process {state.worker_pid})")
            return state
        processes = find(state.mark)
        for name in work_pool.crash_orphans(client, processes, _worker_name(state)):
            tell(f"flow run {name} is marked as crashed: its process is gone")
        tell("deploying aura/full-pipeline, teacher-cache, distill and evaluate ...")
        _deploy(state)
        return _start_worker(client, state, tell)


def stop(tell: Tell) -> bool:
    """Stop what `aura up` started and its flow runs; False if there was nothing to stop."""
    state = read_state()
    if state is None:
        return False
    if state.server_lives and local_prefect.is_healthy(state.url):
        with work_pool.connect(state.url) as client:
            work_pool.cancel_runs(client, _CANCEL_S, tell)
    # The worker and what flow runs have left first: they report their end to the server.
    others = [each for each in find(state.mark) if each.pid != state.server_pid]
    stop_processes(others, _GRACE_S)
    stop_processes(find(state.mark), _GRACE_S)
    forget_state()
    return True


def _take_up(state: ServerState, url: str, tell: Tell) -> ServerState | None:
    """Keep the worker and the runs of a server that is gone, if the next one has its address."""
    left = find(state.mark)
    if state.url != url:
        if left:
            tell("the server is gone, and something of it is left: stopping that first")
            stop(tell)
        return None
    # What the server itself has started holds its port.
    stop_processes([each for each in left if _session(each) == state.server_pid], _GRACE_S)
    return state


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _api_url(host: str, port: int) -> str:
    return f"http://{_reached_by(host)}:{port}/api"


def _reached_by(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host


def _start_server(
    host: str, port: int, root: str, before: ServerState | None, tell: Tell
) -> ServerState:
    require_safe_host(host)
    with socket.socket() as probe:
        if probe.connect_ex((_reached_by(host), port)) == 0:
            raise AuraError(f"port {port} is in use: choose another with --port")
    home = server_home()
    home.mkdir(parents=True, exist_ok=True)
    url = _api_url(host, port)
    mark = before.mark if before else uuid.uuid4().hex
    tell(f"starting a Prefect server on {host}:{port} (log: {home / 'server.log'}) ...")
    environment = _environment(url, mark) | {
        name: os.environ[name] for name in local_prefect.SERVER_SECRETS if name in os.environ
    }
    command = local_prefect.server_command(host, port)
    pid = start_process(command, environment, home / "server.log")
    if before:
        kept = before.root if before.worker_lives else root
        state = replace(before, server_pid=pid, root=kept)
    else:
        state = ServerState(url, mark, pid, _NOT_STARTED, root)
    write_state(state)
    return state


def require_safe_host(host: str) -> None:
    """Raise AuraError for an address others can reach, unless the server asks for a password."""
    if host not in LOOPBACK and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise AuraError(
            f"whoever reaches a server on {host} can run code on this machine: set "
            "PREFECT_SERVER_API_AUTH_STRING=user:password first (clients set the same as "
            "PREFECT_API_AUTH_STRING)"
        )


def _start_worker(client: "work_pool.Client", state: ServerState, tell: Tell) -> ServerState:
    log = server_home() / "worker.log"
    tell(f"starting a worker (log: {log}) ...")
    name = _worker_name(state)
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    command += ["--pool", work_pool.NAME, "--name", name, "--type", "process"]
    environment = _environment(state.url, state.mark) | {"AURA_ROOT": state.root}
    state = replace(state, worker_pid=start_process(command, environment, log))
    write_state(state)
    deadline_s = time.monotonic() + _WORKER_START_S
    while not work_pool.has_worker(client, name):
        if not state.worker_lives or time.monotonic() > deadline_s:
            raise AuraError(f"the worker did not start: see {log}")
        time.sleep(0.3)
    return state


def _worker_name(state: ServerState) -> str:
    return f"aura-{socket.gethostname()}-{state.mark[:6]}"


def _deploy(state: ServerState) -> None:
    if not PREFECT_FILE.exists():
        raise AuraError(f"{PREFECT_FILE} is not there: run `aura up` from a checkout of aura")
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy"]
    command += ["--prefect-file", str(PREFECT_FILE), "--all"]
    result = subprocess.run(
        command,
        env=_environment(state.url, state.mark),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise AuraError(f"prefect deploy failed: {' '.join(said[-3:])}")


def _environment(url: str, mark: str) -> dict[str, str]:
    """This command's environment without what keeps Prefect silent inside `aura run`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if local_prefect.QUIET.get(name) != value and name not in local_prefect.SERVER_SECRETS
    }
    if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        environment.setdefault("PREFECT_API_AUTH_STRING", password)
    parts = urlsplit(url)
    return environment | {
        MARK: mark,
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(server_home() / "prefect"),
        "PREFECT_UI_URL": f"{parts.scheme}://{parts.netloc}",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
    }
