import subprocess
import sys

import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import (
    Manifest,
    describe_file,
    newest_artifact,
    only_maker,
    provenance,
    read_manifest,
    require_manifest,
    write_manifest,
)
from aura_core.errors import AuraError


def manifest(fingerprint: str = "f" * 64, **fields) -> Manifest:
    base = {"stage": "ingest", "stage_version": 1, "identity": {"a": [1, None]}, "inputs": {}}
    return Manifest.model_validate({**base, "fingerprint": fingerprint, "files": [], **fields})


def test_a_manifest_survives_its_file(root):
    store.write_text(store.join(root, "data", "x.bin"), "hello")
    written = manifest(
        files=[describe_file(root, "data/x.bin")],
        counts={"utterances": 3},
        metrics={"nested": {"loss": 0.5}},
        provenance=provenance(),
    )
    write_manifest(root, written)
    assert read_manifest(root) == written
    assert require_manifest(root) == written
    assert written.files[0].size_bytes == 5
    assert written.files[0].xxh3 == store.xxh3(b"hello")


def test_no_manifest_means_not_complete(root):
    assert read_manifest(root) is None
    with pytest.raises(AuraError, match=r"has no manifest.json: run the stage"):
        require_manifest(root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "ingest"}'])
def test_a_damaged_manifest_is_an_error_that_names_it(tmp_path, text):
    store.write_text(f"{tmp_path}/manifest.json", text)
    with pytest.raises(AuraError, match=r"json is damaged .*delete that folder") as raised:
        read_manifest(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_provenance_names_code_and_libraries():
    assert {"created_at", "git_sha", "python", "torch", "ray", "prefect"} <= set(provenance())


def test_the_newest_artifact_is_the_one_made_last(root):
    for name, created_at in (("aa", "2026-01-02"), ("bb", "2026-01-03"), ("cc", "2026-01-01")):
        uri = store.join(root, "evaluate", name)
        write_manifest(uri, manifest(name, provenance={"created_at": created_at}))
    store.write_text(store.join(root, "evaluate", "dd", "results.json"), "{}")
    assert newest_artifact(root, "evaluate") == store.join(root, "evaluate", "bb")


def test_no_artifact_at_all_is_a_one_line_error(root):
    with pytest.raises(AuraError, match="no finished evaluate below"):
        newest_artifact(root, "evaluate")


HOLDER = """
import sys
from aura_core.artifacts.manifest import only_maker
with only_maker(sys.argv[1], lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(monkeypatch, tmp_path):
    """Start a process that holds the lock of an artifact until it is killed."""
    monkeypatch.setenv("AURA_CACHE", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "s3://lab/distil/abc"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_who_comes_second_says_so_and_waits_for_the_end_of_the_first(holder):
    waited = []

    def end_the_first():
        waited.append(holder.poll())
        holder.kill()

    with only_maker("s3://lab/distil/abc", end_the_first):
        assert holder.wait() != 0
    assert waited == [None], "it was alive when we began to wait"


def test_another_artifact_is_not_waited_for(holder):
    with only_maker("s3://lab/distil/abd", lambda: pytest.fail("waited")):
        assert holder.poll() is None
