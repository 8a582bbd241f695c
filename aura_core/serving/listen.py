"""The socket that a server listens on, here or in a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from aura_core.errors import AuraError

_BACKLOG = 128
_LAST_PORT = 65535


def listen(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; port 0 takes any that is free.

    Raises:
        AuraError: if the address is none of this machine's, or taken.
    """
    # Resolving would take it modulo 65536.
    if not 0 <= port <= _LAST_PORT:
        raise AuraError(f"port {port}: choose one from 0 to {_LAST_PORT}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # Asyncio sends small pieces at once only where the socket says that it speaks TCP; else
        # each waits for the acknowledgement of the one before, 40 ms.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise AuraError(f"cannot listen on {host}:{port} ({reason}): choose another") from error
    return listener


# An application behind HTTP in a thread of this process, on a free port of this machine.

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
