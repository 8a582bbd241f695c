"""A TCP port before another one that can be shut: connections break, new ones are refused.

    gate.py PORT TARGET_PORT

In a process of its own, told `shut` and `open` line by line on stdin; says `done` to each.
"""

import socket
import sys
from contextlib import suppress
from threading import Thread


class Gate:
    """Passes bytes both ways between clients of its port and a server on this machine."""

    def __init__(self, port: int, target_port: int) -> None:
        self._port, self._target_port = port, target_port
        self._sockets: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            close(each)
        self._sockets.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                Thread(target=pump, args=(source, target), daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    close(source)
    close(target)


def close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


if __name__ == "__main__":
    gate = Gate(*map(int, sys.argv[1:]))
    print("done", flush=True)
    for line in sys.stdin:
        {"open": gate.open, "shut": gate.shut}[line.strip()]()
        print("done", flush=True)
