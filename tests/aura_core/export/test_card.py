"""The model card, and the lines it prints, run as a stranger would."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id
from packaging.requirements import Requirement
from transformers.pipelines import PIPELINE_REGISTRY

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.config.train import Phase, TrainConfig
from aura_core.evaluation.results import Results, Row, write_results
from aura_core.export.card import _losses, card_metadata, evaluation_of, model_card
from aura_core.export.folder import export_student

DEMO, OWN = (
    Manifest(
        stage="ingest", stage_version=1, fingerprint="f", identity=identity, inputs={}, files=[]
    )
    for identity in ({}, {"manifest": "/data/my.jsonl"})
)
# Of the hub's list: https://huggingface.co/docs/hub/repositories-licenses
LICENCES = {"apache-2.0", "mit", "other"}
PROVENANCE = {"created_at": "2026-01-01T00:00:00+00:00", "transformers": "5.24.0"}
# Run with the project's own interpreter, with all hidden that the card's packages do not bring.
HIDE = """
import re, sys
from importlib import metadata
from packaging.requirements import Requirement

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

brought, asked = set(), [Requirement(each).name for each in sys.argv[1:]]
while asked:
    name = plain(asked.pop())
    if name in brought:
        continue
    brought.add(name)
    try:
        needed = map(Requirement, metadata.requires(name) or [])
    except metadata.PackageNotFoundError:
        continue
    plainly = {"extra": ""}
    asked += [each.name for each in needed if not each.marker or each.marker.evaluate(plainly)]
hidden = {module for module, packages in metadata.packages_distributions().items()
          if not brought & set(map(plain, packages))} | {"aura_core", "flows", "tasks"}

class Hide:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, *more):
        return None if name.partition(".")[0] in hidden else self._finder.find_spec(name, *more)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = map(Hide, sys.meta_path)
"""


def manifest(stage, inputs, identity=None, counts=None):
    return Manifest(
        stage=stage, stage_version=1, fingerprint="f" * 64, identity=identity or {},
        inputs=inputs, files=[], counts=counts or {}, provenance=PROVENANCE,
    )  # fmt: skip


def row(model, value, **changes):
    return Row(model=model, task="transcribe/heldout", metric="wer", value=value, ci_low=0.1,
               ci_high=0.4, n=80, **changes)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory, artifact_of):
    """A root with one finished student and what it was made from."""
    root = tmp_path_factory.mktemp("root")
    ingest, cache, distil = (str(root / each) for each in ("ingest/a", "teacher_cache/b", "distil"))
    write_manifest(ingest, manifest("ingest", {}, {"manifest": "/secret/my.jsonl"},
                                    {"utterances": 17}))  # fmt: skip
    write_manifest(
        cache, manifest("teacher_cache", {"ingest": ingest}, {"teacher": "pinned:whisper-tiny.en"})
    )
    (root / "distil").mkdir()
    artifact_of().rename(root / "distil" / "c")
    write_manifest(f"{distil}/c", manifest("distil", {"teacher_cache": cache}))
    return root


def card(root):
    artifact = root / "distil" / "c"
    config = TrainConfig.model_validate_json((artifact / "train_config.json").read_text())
    return model_card(str(artifact), str(root), config, "gated", "model", "bf16")


def test_it_says_what_the_model_was_made_of_and_no_path(root):
    text = card(root)
    assert "utterances: 17" in text
    assert "`my.jsonl`" in text
    assert "/secret" not in text
    assert "| learn | 1 | 24 | ce 1, distil 1, ctc 1 | 0.001 |" in text
    assert "MIT (OpenAI Whisper)" in text
    assert "has not been evaluated" in text


def test_the_table_is_the_newest_evaluations_with_intervals(root):
    evaluate = str(root / "evaluate" / "d")
    write_manifest(evaluate, manifest("evaluate", {"distil.aura.1": str(root / "distil" / "c")}))
    write_results(evaluate, [row("aura", 0.25), row("aura", 0.9, slice="speaker=x")])
    other = str(root / "evaluate" / "e")
    write_manifest(other, manifest("evaluate", {"distil": str(root / "distil" / "other")}))
    write_results(other, [row("aura", 0.77)])
    text = card(root)
    assert "| aura | transcribe/heldout | wer | 0.250 | 0.100 to 0.400 | 80 |" in text
    assert "0.9" not in text.partition("## Results")[2].partition("## Limits")[0]
    assert evaluation_of("elsewhere/none", str(root)) == (
        "", Results(rows=[]),
    )  # fmt: skip


def test_text_ability_stands_before_and_after_and_not_among_what_is_heard(root):
    assert "`aura run --only evaluate\n--benchmark text_perplexity" in card(root)
    evaluate = str(root / "evaluate" / "f")
    later = {**PROVENANCE, "created_at": "2026-01-02T00:00:00+00:00"}
    read = {"distil.bridge.0": str(root / "distil" / "c")}
    made = manifest("evaluate", read).model_copy(update={"provenance": later})
    write_manifest(evaluate, made)
    figures = {"base": 20, "text": 21.5, "aura": 22, "bridge": 23}
    rows = [
        row(model, value).model_copy(update={"task": "text_perplexity", "metric": "perplexity"})
        for model, value in figures.items()
    ]
    write_results(evaluate, [row("bridge", 0.25), *rows])
    text = card(root)
    assert (
        "| Text: perplexity | perplexity | 20.000 (0.100 to 0.400) | 21.500 (0.100 to 0.400) "
        "| 23.000 (0.100 to 0.400) | 80 |"
    ) in text
    assert "| bridge | transcribe/heldout | wer |" in text
    assert "text_perplexity" not in text


def test_an_asr_that_wrote_references_and_transcripts_is_named(root):
    assert "written by the ASR" not in card(root)
    evaluate = str(root / "evaluate" / "g")
    latest = {**PROVENANCE, "created_at": "2026-01-03T00:00:00+00:00"}
    made = manifest("evaluate", {"distil": str(root / "distil" / "c")})
    write_manifest(evaluate, made.model_copy(update={"provenance": latest}))
    heldout = row("aura", 0.25)
    write_results(evaluate, [heldout], (), {heldout.task: "whisper:small"})
    results = card(root).partition("## Results")[2]
    assert "References of transcribe/heldout were written by the ASR whisper:small" in results
    ingest = root / "ingest" / "a"
    given = {"manifest": "my.jsonl", "pseudo_label": True, "asr": "whisper:small"}
    made = manifest("ingest", {}, given, {"utterances": 17})
    before = (ingest / "manifest.json").read_text()
    write_manifest(str(ingest), made)
    assert "- transcripts it came without: written by the ASR `whisper:small`" in card(root)
    (ingest / "manifest.json").write_text(before)


@pytest.fixture(scope="module")
def downloaded(root, tmp_path_factory):
    """A folder with the exported folder `model`, a wav, and the card's own lines in `use.py`."""
    folder = tmp_path_factory.mktemp("stranger")
    export_student(str(root / "distil" / "c"), folder / "model")
    [lines] = re.findall(r"```python\n(.*?)```", card(root), re.DOTALL)
    assert len(lines.strip().splitlines()) == 5
    (folder / "use.py").write_text(lines)
    tone = 0.1 * np.sin(np.arange(44100) / 20)
    soundfile.write(folder / "question.wav", tone, 44100)
    return folder


def run_hidden(folder, lines, packages):
    """Run lines where nothing can be imported but these packages and what they require."""
    (folder / "hidden.py").write_text(HIDE + lines)
    return subprocess.run(
        [sys.executable, "-I", "hidden.py", *packages], cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def packages(root):
    """What the card says to install."""
    [line] = re.findall(r"^`pip install (.*)`$", card(root), re.MULTILINE)
    return shlex.split(line)


def test_five_lines_answer_a_wav_with_what_the_card_installs(downloaded, packages):
    result = run_hidden(downloaded, (downloaded / "use.py").read_text(), packages)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert "deprecated" not in result.stderr


@pytest.mark.parametrize("module", ["aura_core", "peft", "whisper", "soundfile"])
def test_what_is_not_installed_is_not_found(downloaded, packages, module):
    some = [each for each in packages if each != "soundfile"]
    assert f"No module named '{module}'" in run_hidden(downloaded, f"import {module}", some).stderr


def test_the_installed_transformers_is_one_that_the_card_asks_for(packages):
    [asked] = [Requirement(each) for each in packages if each.startswith("transformers")]
    assert asked.specifier.contains(PROVENANCE["transformers"])
    assert not asked.specifier.contains("4.57.0")


def test_the_precision_is_that_of_the_evaluation(root):
    assert "weights are in bf16" in card(root)


def test_it_says_how_many_steps_were_of_text_alone():
    phase = Phase(name="learn", steps=10, distil=0.3, text_every=5)
    assert _losses(phase) == "ce 1, distil 0.3, one step in 5 of text alone"


def head(llm, ingest):
    return ModelCard(f"---\n{card_metadata(llm, ingest)}\n---\n# A model\n").data


@pytest.mark.parametrize("ingest", [DEMO, OWN, None])
@pytest.mark.parametrize(
    "llm", ["pinned:smollm2-135m-instruct", "hf:Qwen/Qwen2.5-0.5B-Instruct@main", "/models/mine"]
)
def test_each_field_is_one_that_the_hub_takes(llm, ingest):
    data = head(llm, ingest)
    if data.base_model is not None:
        validate_repo_id(data.base_model)
    if data.license is not None:
        assert data.license in LICENCES
    if data.license == "other":
        assert re.fullmatch(r"[a-z0-9-.]+", data.license_name)
        assert data.license_link.startswith("https://huggingface.co/")
    if data.language is not None:
        assert re.fullmatch(r"[a-z]{2}", data.language)
    assert data.library_name == "transformers"


def test_what_is_known_of_the_demo_is_there():
    data = head("pinned:smollm2-135m-instruct", DEMO)
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (data.license, data.language) == ("apache-2.0", "en")


def test_what_is_not_known_is_left_out():
    data = head("/models/mine", OWN)
    assert (data.base_model, data.license, data.language) == (None, None, None)
    assert head("hf:Qwen/Qwen2.5-0.5B-Instruct", OWN).base_model == "Qwen/Qwen2.5-0.5B-Instruct"


def test_no_pipeline_is_promised_that_transformers_has_not():
    data = head("pinned:smollm2-135m-instruct", DEMO)
    promised = {data.pipeline_tag, *data.tags} - {None}
    # The hub takes a tag of this name for the pipeline.
    assert "audio-text-to-text" not in promised
    assert not promised & set(PIPELINE_REGISTRY.get_supported_tasks())
