"""An application behind HTTP in a thread of this process, on a free port of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from aura_core.serving.listen import listen

# Answers that are being streamed have so long to end.
_SHUTDOWN_S = 2
_JOIN_S = 20


@contextmanager
def in_background(app: FastAPI) -> Iterator[str]:
    """Serve the application while the block runs; yield its URL."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_SHUTDOWN_S)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_JOIN_S)
        listener.close()
