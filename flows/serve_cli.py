"""`aura serve` and `aura demo`: the models of a run behind HTTP."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.request import resolve_root

if TYPE_CHECKING:
    from fastapi import FastAPI

    from aura_core.chat.run_models import RunModels

_KEY = "AURA_API_KEY"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Answers that are being streamed have so long to end.
_SHUTDOWN_S = 3


def serve(
    model: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    root: str | None = None,
) -> None:
    """Serve a model or a run as OpenAI's /v1/chat/completions, with `input_audio`.

    For example:
      aura serve --model my-model
      aura serve --model runs --port 8001
      AURA_API_KEY=secret aura serve --model my-model --host 0.0.0.0

    Answers one request at a time, greedily; docs/serving.md has clients. With AURA_API_KEY in
    the environment, clients must send it.

    Parameters
    ----------
    model:
        A distil artifact, a folder of `aura export`, or a run: a root or an evaluation; a run
        has `aura`, its variants and `cascade`. Or the name of one of these, which is then the
        only one. [default: the newest run below the root]
    host:
        The address to listen on; by default nobody outside this machine reaches it.
    port:
        0 for any that is free.
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    """
    api_key = os.environ.get(_KEY) or None
    from aura_core.chat.run_models import find_models
    from aura_core.serving.app import LOOPBACK_NAMES, create_app

    models = find_models(model, resolve_root(root))
    if host not in _LOOPBACK and api_key is None:
        print(f"warning: anyone who reaches {host} may ask: set {_KEY}", file=sys.stderr)
    hosts = LOOPBACK_NAMES if host in _LOOPBACK else ("*",)
    app = create_app(models, api_key=api_key, hosts=hosts)
    _run(app, models, [models.main], (host, port), "/v1")


def demo(
    model: str | None = None,
    *,
    port: int = 8000,
    root: str | None = None,
) -> None:
    """Serve a page on this machine: speak or drop a file, and compare what models answer.

    For example:
      aura demo
      aura demo --model runs --port 8001

    Parameters
    ----------
    model:
        As for `aura serve`; of a run the page also has held-out speech with its references.
    port:
        0 for any that is free.
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    """
    from aura_core.chat.run_models import find_models
    from aura_core.serving.app import add_page, create_app

    models = find_models(model, resolve_root(root))
    app = create_app(models)
    add_page(app, models.held_out)
    # All of them now: the page shows the time to the first token.
    _run(app, models, list(models), ("127.0.0.1", port), "/")


def _run(
    app: "FastAPI",
    models: "RunModels",
    prepared: Sequence[str],
    address: tuple[str, int],
    path: str,
) -> None:
    """Prepare models and listen until a signal comes."""
    import uvicorn

    from aura_core.serving.listen import listen

    listener = listen(*address)
    for name in prepared:
        print(models.describe(name), file=sys.stderr, flush=True)
    models.prepare(*prepared)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if listener.family == socket.AF_INET6 else host
    print(f"serving {', '.join(models)}: http://{shown}:{port}{path}", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_SHUTDOWN_S)
    # Uvicorn ends on these itself and raises them again when it has: that is no failure.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    uvicorn.Server(config).run(sockets=[listener])
