import socket

import pytest

from aura_core.errors import AuraError
from aura_core.serving.listen import listen


def test_connections_are_known_to_speak_tcp():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.proto == socket.IPPROTO_TCP


def test_an_address_that_cannot_be_had_is_told():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AuraError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)
    with pytest.raises(AuraError, match=r"cannot listen on no\.such\.host"):
        listen("no.such.host.invalid", 0)
    with pytest.raises(AuraError, match="port 70000: choose one"):
        listen("127.0.0.1", 70000)
