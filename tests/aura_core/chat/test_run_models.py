import numpy as np
import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.chat import run_models
from aura_core.chat.run_models import RunModels, find_models
from aura_core.errors import AuraError


def publish(root, stage, name, identity, inputs):
    manifest = Manifest(
        stage=stage, stage_version=1, fingerprint=name * 16, identity=identity, inputs=inputs,
        files=[], provenance={"created_at": "2026"},
    )  # fmt: skip
    write_manifest(f"{root}/{stage}/{name}", manifest)
    return f"{root}/{stage}/{name}"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Root of an evaluation of two models with two seeds, and what is loaded of it."""
    loaded = []
    monkeypatch.setattr(run_models, "load_chat", lambda uri: loaded.append(uri) or uri)
    monkeypatch.setattr(run_models, "load_cascade", lambda *each: loaded.append(each) or "cascade")
    inputs = {"ingest": "I", "text_lora": "T", "distil": "D0", "distil.aura.1": "D1",
              "distil.bridge.0": "B0", "distil.bridge.1": "B1"}  # fmt: skip
    identity = {"asr": "whisper:base", "splits": ["voice"], "pinned": {"asr": "sha"}}
    publish(tmp_path, "evaluate", "abcd", identity, inputs)
    publish(tmp_path, "distil", "dddd", {}, {})
    return tmp_path, loaded


def test_a_run_has_its_students_first_seeds_and_its_cascade(run):
    root, loaded = run
    for target in (None, str(root), f"{root}/evaluate/abcd", "abcd"):
        models = find_models(target, str(root))
        assert list(models) == ["aura", "bridge", "cascade"]
        assert (models.main, models.held_out.ingest_uri) == ("aura", "I")
        assert models.held_out.splits == ("voice",)
    assert "bridge" in models
    assert loaded == []
    assert [models["bridge"], models["bridge"], models["aura"]] == ["B0", "B0", "D0"]
    assert loaded == ["B0", "D0"]
    assert models["cascade"] == "cascade"
    text_lora, ingest, config = loaded[-1]
    assert (text_lora, ingest, config.asr) == ("T", "I", "whisper:base")


def test_a_run_that_was_not_evaluated_has_its_newest_student(tmp_path, monkeypatch):
    monkeypatch.setattr(run_models, "load_chat", lambda uri: uri)
    uri = publish(tmp_path, "distil", "dddd", {}, {})
    models = find_models(str(tmp_path), "elsewhere")
    assert dict(models) == {"aura": uri}
    assert models.held_out is None


def test_an_artifact_is_one_model_that_is_made_ready(artifact_of):
    models = find_models(str(artifact_of()), "elsewhere")
    assert list(models) == ["aura"]
    models.prepare("aura")
    assert models["aura"] is models["aura"]


def test_being_ready_is_having_answered_once():
    asked = []

    class Model:
        def reply(self, turns, max_new_tokens):
            asked.append((turns[0].parts, max_new_tokens))
            return iter(())

    RunModels({"a": Model, "b": Model}).prepare("b")
    [((silence, _), limit)] = asked
    assert (len(silence), silence.dtype, limit) == (16000, np.float32, 1)


@pytest.mark.parametrize("target", ["/nowhere", "0123abc", None])
def test_what_is_neither_is_told(tmp_path, target):
    with pytest.raises(AuraError, match="is no model and no run"):
        find_models(target, str(tmp_path))
