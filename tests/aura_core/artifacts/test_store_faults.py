"""The store against an object store that fails: errors, silence, and cut connections."""

import os
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec.config
import pytest
import s3fs

from aura_core.artifacts import store

DATA = bytes(range(256)) * 4096
_HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "expect", "host"}


class Proxy(ThreadingHTTPServer):
    """Stands before the S3 server and spoils requests as `faults` says: {method: [fault, ...]}."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.faults: dict[str, list[str]] = {}
        self.spoilt: list[str] = []

    def take_fault(self, method: str) -> str | None:
        waiting = self.faults.get(method, [])
        fault = next(iter(waiting), None)
        if fault and fault != "503 for ever":
            waiting.pop(0)
        if fault:
            self.spoilt.append(f"{method} {fault}")
        return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _serve(self) -> None:
        fault = self.server.take_fault(self.command)
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "cut":
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(length)
        if fault == "silence":
            time.sleep(3)
            self.close_connection = True
        elif fault:
            self._answer(int(fault[:3]), {}, b"")
        else:
            self._answer(*self._forward(body))

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
        request = urllib.request.Request(
            self.server.target + self.path, data=body or None, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        for name, value in headers.items():
            if name.lower() not in {*_HOP_HEADERS, "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_arguments) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(s3_bucket, monkeypatch):
    started = Proxy(os.environ["AWS_ENDPOINT_URL_S3"])
    threading.Thread(target=started.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{started.server_port}")
    quick = {"config_kwargs": {"read_timeout": 1, "retries": {"max_attempts": 2}}}
    monkeypatch.setitem(fsspec.config.conf, "s3", quick)
    s3fs.S3FileSystem.clear_instance_cache()
    yield started
    started.shutdown()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("fault", ["500", "503", "silence", "cut"])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_passing_fault_is_ridden_out(proxy, s3_folder, fault, method):
    uri = f"{s3_folder}/data.bin"
    if method != "PUT":
        store.write_bytes(uri, DATA)
    proxy.faults = {method: [fault]}
    if method == "PUT":
        store.write_bytes(uri, DATA)
    assert store.read_bytes(uri) == DATA
    assert store.size_bytes(uri) == len(DATA)
    assert store.read_spans([uri], [(7, 1007)]) == [DATA[7:1007]]
    assert proxy.spoilt == [f"{method} {fault}"]


def test_a_lasting_fault_ends_and_publishes_nothing(proxy, s3_folder):
    proxy.faults = {"PUT": ["503 for ever"]}
    with pytest.raises(OSError, match=r"503|Service Unavailable"):
        store.write_bytes(f"{s3_folder}/data.bin", DATA)
    assert 2 <= len(proxy.spoilt) <= 40
    proxy.faults = {}
    assert store.list_names(s3_folder) == []


def test_an_upload_cut_every_time_leaves_no_short_object(proxy, s3_folder):
    proxy.faults = {"PUT": ["cut"] * 1000}
    with pytest.raises(Exception, match=r".+"):
        store.write_bytes(f"{s3_folder}/data.bin", DATA)
    proxy.faults = {}
    assert store.list_names(s3_folder) == []


def test_an_outage_of_a_minute_is_ridden_out_unless_the_user_says_otherwise(monkeypatch):
    def client_settings(*attempts: int) -> dict[str, object]:
        return store.filesystem("s3://lab/x", *attempts)[0].config_kwargs

    retries = {"mode": "standard", "total_max_attempts": 12}
    assert client_settings() == {"retries": retries}
    assert client_settings(3) == {"retries": {**retries, "total_max_attempts": 3}}
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert client_settings() == client_settings(3)
    assert client_settings() == {"retries": {**retries, "total_max_attempts": 2}}
    own = {"connect_timeout": 7}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": own})
    assert client_settings() == own
    assert store.filesystem("/runs/x")[0].storage_options == {}
