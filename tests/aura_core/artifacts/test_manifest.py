import pytest

from aura_core.artifacts import store
from aura_core.artifacts.manifest import (
    Manifest,
    describe_file,
    provenance,
    read_manifest,
    require_manifest,
    write_manifest,
)
from aura_core.artifacts.newest import newest_artifact
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
