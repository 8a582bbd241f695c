"""What is tried before a run starts."""

import json
from pathlib import Path

import numpy as np
import pytest
import s3fs
import soundfile
from huggingface_hub import constants

from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.models.references import hub_commit
from aura_core.preflight import check_model, preflight

COMMIT = "0123456789" * 4


def manifest(folder: Path, *lines: str) -> str:
    soundfile.write(folder / "a.wav", np.zeros(16_000, np.float32), 16_000)
    path = folder / "m.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


GOOD = json.dumps({"audio_filepath": "a.wav", "text": "hello", "id": "a"})
GONE = json.dumps({"audio_filepath": "gone.wav", "text": "hello", "id": "b"})


def preflight_of(uri: str, root: Path) -> dict[str, str]:
    config = override(recipe("smoke"), [f"ingest.manifest={json.dumps(uri)}"])
    return {each.what: each.found for each in preflight(config, str(root))}


def test_everything_a_run_needs_is_tried_and_nothing_is_left_behind(tmp_path):
    found = preflight_of(manifest(tmp_path, GOOD, GONE), tmp_path / "new" / "root")
    assert found[f"root {tmp_path}/new/root"] == "can be written to"
    assert "of the first 2 utterances 1 can be used" in found[f"manifest {tmp_path}/m.jsonl"]
    assert "gone.wav does not exist" in found[f"manifest {tmp_path}/m.jsonl"]
    pinned = {name for name in found if name.startswith("model pinned:")}
    assert pinned == {"model pinned:whisper-tiny.en", "model pinned:smollm2-135m-instruct"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "m.jsonl"]


@pytest.mark.parametrize("lines", [(GONE,), ("not json",), ('{"text": "hello"}',)])
def test_a_manifest_without_one_usable_utterance_is_refused(tmp_path, lines):
    with pytest.raises(AuraError, match="none of its first 1 utterances can be used; the first"):
        preflight_of(manifest(tmp_path, *lines), tmp_path)


@pytest.mark.parametrize("root", ["/proc/foo", "{folder}/m.jsonl", "{folder}/m.jsonl/below"])
def test_a_root_that_cannot_be_written_to_is_refused(tmp_path, root):
    uri = manifest(tmp_path, GOOD)
    with pytest.raises(AuraError, match="cannot be written to"):
        preflight_of(uri, Path(root.format(folder=tmp_path)))


def test_an_object_store_is_written_to_and_cleaned(s3_folder):
    found = {each.what: each.found for each in preflight(recipe("smoke"), s3_folder)}
    assert found[f"root {s3_folder}"] == "can be written to"
    assert not s3fs.S3FileSystem().exists(s3_folder)


def test_a_folder_is_a_model_if_it_has_config_and_weights(tmp_path):
    with pytest.raises(AuraError, match="that says its model_type"):
        check_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(AuraError, match="no weights"):
        check_model(str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    assert check_model(str(tmp_path), True).found == "a folder with config and weights of a llama"
    (tmp_path / "config.json").write_text('{"model_type": "gemma3_text"}')
    assert check_model(str(tmp_path)).found == "a folder with config and weights of a gemma3_text"
    with pytest.raises(AuraError, match="is a gemma3_text, which no student can be built around"):
        check_model(str(tmp_path), True)


def test_a_whisper_must_be_one_of_the_package_s():
    with pytest.raises(AuraError, match=r"no Whisper checkpoint 'smal.en': did you mean small\.en"):
        check_model("whisper:smal.en")
    assert check_model("whisper:small.en").certain


def test_a_model_of_the_hub_is_looked_for_in_its_cache_and_else_said_not_to_be_checked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub_commit.cache_clear()
    missing = check_model(f"hf:org/name@{COMMIT}")
    assert not missing.certain
    assert missing.found.startswith("not checked: ")
    snapshot = tmp_path / "models--org--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    found = check_model(f"hf:org/name@{COMMIT}")
    assert (found.certain, found.found) == (True, "in the hub's cache on this machine")
