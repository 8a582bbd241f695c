"""`aura up`, `aura down`, `aura status`: a Prefect server and a worker on this machine."""

import json
import os
import time
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter, validators
from rich.live import Live

from aura_core.artifacts.store import require_reachable
from flows.display import out
from flows.options import AsJson, Count
from flows.request import resolve_root

_WATCH_S = 2.0


def up(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=65535))] = 4200,
    root: str | None = None,
    runs: Count | None = None,
) -> None:
    """Start a Prefect server and a worker in the background, and deploy the flow to them.

    Starting what is already running is harmless. Flow runs beyond the limit wait their turn.
    The server keeps its data in SQLite below ~/.cache/aura/server ($AURA_SERVER_HOME); for
    PostgreSQL set PREFECT_API_DATABASE_CONNECTION_URL=postgresql+asyncpg://... before. The
    worker knows what this shell's environment knows: credentials, $AURA_ROOT, caches.

      aura up
      export PREFECT_API_URL=http://127.0.0.1:4200/api
      prefect deployment run aura/full-pipeline -p recipe=smoke --watch
      aura status --watch
      aura down

    Parameters
    ----------
    host:
        Address the server listens on. Any but loopback needs PREFECT_SERVER_API_AUTH_STRING.
    port:
        Port the server listens on.
    root:
        Where runs put artifacts that name no root. [default: $AURA_ROOT, else ./runs]
    runs:
        How many flow runs may work at once: they share this machine. [default: as it is, at first
        one]
    """
    from flows import server

    where = resolve_root(root)
    require_reachable(where)
    state = server.start(host, port, where, runs, out.print)
    out.print(f"UI: {state.ui_url}   artifacts: {state.root}")
    out.print("next:")
    if os.environ.get("PREFECT_API_URL") != state.url:
        out.print(f"  export PREFECT_API_URL={state.url}")
    out.print("  prefect deployment run aura/full-pipeline -p recipe=smoke --watch")


def down() -> None:
    """Stop what `aura up` started: flow runs, the worker, the server. Its data stays.

    Flow runs at work are cancelled; run again, they go on from what is finished.

      aura down
    """
    from flows import server

    out.print("stopped" if server.stop(out.print) else "nothing to stop: `aura up` has not run")


def status(
    *,
    watch: bool = False,
    as_json: AsJson = False,
) -> None:
    """Show the server, the worker, and what runs: stages, progress, rate, time left.

    Asks the server of `aura up`, else the one at $PREFECT_API_URL. Exit code 1 without one.

      aura status --watch

    Parameters
    ----------
    watch:
        Keep showing it, until Ctrl-C.
    as_json:
        Once, for programs.
    """
    from flows import server_status
    from flows.server_status import panel

    found = server_status.read()
    if as_json:
        print(json.dumps(asdict(found), indent=2, default=str))
    elif not watch:
        out.print(panel(found))
    else:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(panel(found), refresh=True)
                time.sleep(_WATCH_S)
                found = server_status.read()
    if found.server is None:
        raise SystemExit(1)
