import numpy as np
import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.chat import run_models
from aura_core.chat.run_models import RunModels, find_models
from aura_core.errors import AuraError
from aura_core.evaluation.results import Row, write_results


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
    evaluation = publish(tmp_path, "evaluate", "abcd", identity, inputs)
    write_results(evaluation, [wer("aura", 0.07), wer("cascade", 0.11)])
    publish(tmp_path, "distil", "dddd", {}, {})
    return tmp_path, loaded


def wer(model, value):
    return Row(model=model, task="transcribe/heldout", metric="wer", value=value, ci_low=0.05,
               ci_high=0.15, n=80)  # fmt: skip


@pytest.mark.parametrize("name", ["aura", "bridge", "cascade"])
def test_a_name_is_that_model_of_the_run_at_the_root(run, name):
    root, loaded = run
    models = find_models(name, str(root))
    assert list(models) == [models.main] == [name]
    assert models.held_out.ingest_uri == "I"
    assert loaded == []


def test_an_unknown_name_is_told_with_those_there_are(run):
    with pytest.raises(AuraError, match=r"is no model and no run .* or one of aura, bridge, casc"):
        find_models("bridges", str(run[0]))


def test_each_model_says_where_it_is_from_and_how_well_it_hears(run):
    models = find_models(None, str(run[0]))
    lines = {name: models.describe(name) for name in models}
    assert lines["aura"].startswith("model: aura, D0, recipe ")
    assert lines["aura"].endswith("held-out WER 0.07 (0.05 to 0.15, n = 80)")
    assert lines["cascade"].startswith("model: cascade, T, recipe ")
    assert "held-out WER 0.11" in lines["cascade"]
    assert lines["bridge"].endswith("WER not measured")
    assert all(len(line.splitlines()) == 1 for line in lines.values())


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
    (tmp_path / "distil" / "dddd" / "train_config.json").write_text("{}")
    models = find_models(str(tmp_path), "elsewhere")
    assert dict(models) == {"aura": uri}
    assert models.describe("aura") == f"model: aura, {uri}, not evaluated yet"
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
    with pytest.raises(AuraError, match=r"is no model and no run|no trained model at"):
        find_models(target, str(tmp_path))
