import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PUSH = "import sys; from pathlib import Path; from aura_core.export.card import push_to_hub; "
PUSH += "print(push_to_hub(Path(sys.argv[1]), sys.argv[2]))"


class Hub(BaseHTTPRequestHandler):
    """One repository; `.safetensors` are LFS objects. The token must be `secret`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub = self.server
        hub.asked.append(self.path.partition("?")[0])
        if self.headers["Authorization"] != "Bearer secret":
            return self.answer(401, {"error": "Invalid username or password."})
        if self.path == "/api/repos/create":
            hub.repository = json.loads(body)
            return self.answer(200, {"url": f"{hub.address}/me/model"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            paths = [each["path"] for each in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith(".safetensors") else "regular" for path in paths}
            files = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
            return self.answer(200, {"files": files})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{hub.address}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        assert self.path.startswith("/api/models/me/model/commit/main"), self.path
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                hub.files[value["path"]] = hub.objects[value["oid"]]
        commit = {"commitUrl": f"{hub.address}/me/model/commit/c0ffee", "commitOid": "c0ffee"}
        return self.answer(200, {"success": True, "hookOutput": "", **commit})

    def do_PUT(self):
        oid = self.path.rpartition("/")[2]
        self.server.objects[oid] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, {})

    def do_GET(self):
        self.answer(404, {"error": "not found"})

    do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.asked, server.files, server.objects, server.repository = [], {}, {}, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def reach(hub, tmp_path):
    """Run a program of ours as a user of this hub."""

    def run(*command, token="secret"):
        variables = {
            "HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, *map(str, command)], cwd=ROOT, env=os.environ | variables,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text("# A model\n")
    (folder / "modeling_aura.py").write_text("pass\n")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    return folder


def test_every_file_arrives_in_one_commit_of_a_private_repository(hub, reach, model):
    done = reach("-c", PUSH, model, "me/model")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{hub.address}/me/model/commit/c0ffee"
    assert hub.files == contents(model)
    assert len(hub.objects) == 1
    made = hub.repository
    assert (made["name"], made["organization"]) == ("model", "me")
    assert made.get("private") is True or made.get("visibility") == "private"
    assert sum("/commit/" in path for path in hub.asked) == 1


@pytest.mark.parametrize(
    ("repo", "token", "reason"),
    [("me/model", "wrong", "401"), ("no/such/name", "secret", "Repo id"), ("me/model", "", "")],
    ids=["no right", "no name", "out of reach"],
)
def test_a_refusal_is_one_line_that_says_what_to_do(hub, reach, model, repo, token, reason):
    if not token:
        hub.server_close()
    code = (
        "import sys; from pathlib import Path; from aura_core.errors import AuraError\n"
        "from aura_core.export.card import push_to_hub\n"
        "try: push_to_hub(Path(sys.argv[1]), sys.argv[2])\n"
        "except AuraError as error: print(error)\n"
    )
    done = reach("-c", code, model, repo, token=token)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert f"hf upload {repo} {model}" in done.stdout
    assert reason in done.stdout
    assert hub.files == {}


@pytest.mark.slow
def test_the_command_exports_and_uploads(hub, reach, smoke_root, tmp_path):
    folder = tmp_path / "exported"
    done = reach(
        "-m", "flows.main", "export", "--recipe", "smoke", "--root", smoke_root, "--to", folder,
        "--push-to-hub", "me/model",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"on the hub: {hub.address}/me/model/commit/" in done.stdout
    assert hub.files == contents(folder)
    assert "model.safetensors" in hub.files
