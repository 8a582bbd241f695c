"""What `aura up` started, remembered in a file so that other commands find it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from aura_core.errors import AuraError
from aura_core.models.file_digest import cache_folder
from flows import background


@dataclass(frozen=True)
class ServerState:
    """A Prefect server and its worker, started by `aura up`."""

    url: str  # of the API
    mark: str  # in the environment of every process that descends from them
    server_pid: int
    worker_pid: int
    root: str  # where the worker's runs put artifacts by default
    profile_before: str | None = None  # the Prefect profile to go back to

    @property
    def ui_url(self) -> str:
        return self.url.removesuffix("/api")

    @property
    def server_lives(self) -> bool:
        return background.is_alive(self.server_pid, self.mark)

    @property
    def worker_lives(self) -> bool:
        return background.is_alive(self.worker_pid, self.mark)


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
            f"{path} is damaged ({error}): end the processes with {background.MARK} in their "
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
