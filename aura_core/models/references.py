"""How a config names a model, and the digest that pins what the name stands for.

pinned:NAME             a model of the embedded default (`pinned.py`)
whisper:NAME            a checkpoint of openai-whisper
hf:ORG/NAME[@REVISION]  a repository of the Hugging Face hub
anything else           a local file or folder
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from aura_core.artifacts.digest import file_sha256, folder_sha256
from aura_core.errors import AuraError, unknown
from aura_core.models.pinned import pinned_model

Kind = Literal["pinned", "whisper", "hf", "path"]
# `whisper.available_models()`, which takes seconds to import.
WHISPER_CHECKPOINTS = (
    "tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium",
    "large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo",
)  # fmt: skip
# LLMs that a student may be built around, by the `model_type` of transformers: their blocks are
# run one by one, and a test trains, resumes, decodes and exports each (test_families.py).
LLM_FAMILIES = ("llama", "mistral", "olmo2", "olmo3", "qwen2", "qwen3", "smollm3")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Reference:
    """A parsed model reference; `revision` is set for `hf` only."""

    kind: Kind
    name: str
    revision: str | None = None


def parse(reference: str) -> Reference:
    """Split a reference into its parts. Raises AuraError for a malformed one."""
    scheme, separator, rest = reference.partition(":")
    if not separator or scheme not in ("pinned", "whisper", "hf"):
        if separator and "/" not in scheme and len(scheme) > 1:
            raise AuraError(
                f"model {reference!r}: unknown scheme {scheme!r}; "
                "use pinned:, whisper:, hf: or a local path"
            )
        return Reference("path", reference)
    if not rest:
        raise AuraError(f"model {reference!r}: no name after {scheme}:")
    if scheme == "hf":
        name, _, revision = rest.partition("@")
        return Reference("hf", name, revision or "main")
    return Reference("pinned" if scheme == "pinned" else "whisper", rest)


def require_llm_family(reference: str, model_type: str) -> None:
    """Raise AuraError for an LLM whose blocks nobody has tried to run one by one."""
    if model_type not in LLM_FAMILIES:
        raise AuraError(
            f"model {reference!r} is a {model_type}, which no student can be built around yet: "
            f"there are {', '.join(LLM_FAMILIES)}"
        )


def digest(reference: str) -> str:
    """Return what pins a model's content; it changes when the model does.

    Raises:
        AuraError: for an unknown name, a missing path, or a hub revision that
            can be resolved neither from the local hub cache nor from the hub.
    """
    parsed = parse(reference)
    if parsed.kind == "pinned":
        model = pinned_model(parsed.name)
        return f"sha256:{model.files[model.weights]}"
    if parsed.kind == "whisper":
        if parsed.name not in WHISPER_CHECKPOINTS:
            raise unknown("Whisper checkpoint", parsed.name, WHISPER_CHECKPOINTS)
        # Each release of the package pins its checkpoints by SHA-256 itself.
        return f"whisper:{parsed.name}@openai-whisper-{metadata.version('openai-whisper')}"
    if parsed.kind == "hf":
        return f"hf:{parsed.name}@{hub_commit(parsed)}"
    path = local_path(parsed)
    return f"sha256:{folder_sha256(path) if path.is_dir() else file_sha256(path)}"


def local_path(reference: Reference) -> Path:
    """Return the file or folder a `path` reference names. Raises AuraError if it is not there."""
    path = Path(reference.name).expanduser()
    if not path.exists():
        raise AuraError(
            f"model {reference.name!r}: no such file or folder; "
            "other forms are pinned:NAME, whisper:NAME and hf:ORG/NAME"
        )
    return path


@cache
def hub_commit(reference: Reference) -> str:
    """Return the commit of an `hf` reference.

    What the local hub cache holds wins, so that a run repeats offline; name a
    commit (`hf:ORG/NAME@COMMIT`) where several machines must agree.
    """
    from huggingface_hub import HfApi, constants

    revision = reference.revision or "main"
    if _COMMIT.fullmatch(revision):
        return revision
    folder = f"models--{reference.name.replace('/', '--')}"
    remembered = Path(constants.HF_HUB_CACHE, folder, "refs", revision)
    if remembered.is_file():
        return remembered.read_text().strip()
    try:
        sha = HfApi().model_info(reference.name, revision=revision, timeout=10).sha
        if sha is None:
            raise ValueError("the hub names no commit")
    except Exception as error:  # the hub client's HTTP library is its own affair
        raise AuraError(
            f"model hf:{reference.name}@{revision}: cannot resolve the revision ({error}); "
            "check the name and the network, or give a commit: hf:ORG/NAME@COMMIT"
        ) from error
    return sha
