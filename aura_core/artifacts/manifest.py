"""`manifest.json`: written last, its existence is the only mark of completeness."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aura_core.artifacts import store
from aura_core.errors import AuraError

NAME = "manifest.json"
# What making an artifact returns: files (paths below it), counts, metrics.
Outcome = tuple[list[str], dict[str, int], dict[str, Any]]
_LIBRARIES = ("torch", "transformers", "peft", "ray", "prefect", "openai-whisper", "webdataset")


class FileEntry(BaseModel):
    """One file of an artifact, by its path relative to the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str
    size_bytes: int
    xxh3: str


class Manifest(BaseModel):
    """What an artifact is, what it was made from, and what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    stage_version: int
    fingerprint: str
    identity: dict[str, Any]
    inputs: dict[str, str] = Field(description="role -> URI of the input artifact")
    files: list[FileEntry]
    counts: dict[str, int] = {}
    metrics: dict[str, Any] = {}
    provenance: dict[str, str] = {}


def describe_file(artifact_uri: str, path: str) -> FileEntry:
    """Digest a published file of the artifact."""
    data = store.read_bytes(store.join(artifact_uri, path))
    return FileEntry(path=path, size_bytes=len(data), xxh3=store.xxh3(data))


def write_manifest(artifact_uri: str, manifest: Manifest) -> None:
    """Publish the manifest: from here on the artifact is complete."""
    store.write_text(store.join(artifact_uri, NAME), manifest.model_dump_json(indent=2) + "\n")


def publish_manifest(
    artifact_uri: str,
    outcome: Outcome,
    *,
    stage: str,
    stage_version: int,
    fingerprint: str,
    identity: dict[str, Any],
    inputs: dict[str, str],
    provenance: dict[str, str],
) -> None:
    """Digest what was made and publish the manifest that says so."""
    files, counts, metrics = outcome
    manifest = Manifest(
        stage=stage,
        stage_version=stage_version,
        fingerprint=fingerprint,
        identity=identity,
        inputs=inputs,
        files=[describe_file(artifact_uri, path) for path in sorted(files)],
        counts=counts,
        metrics=metrics,
        provenance=provenance,
    )
    write_manifest(artifact_uri, manifest)


def read_manifest(artifact_uri: str) -> Manifest | None:
    """Return the artifact's manifest, or None if the artifact is not complete.

    Raises:
        AuraError: if the manifest cannot be parsed.
    """
    try:
        text = store.read_text(store.join(artifact_uri, NAME))
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise AuraError(
            f"{artifact_uri}/{NAME} is damaged ({problem}); delete that folder and run again"
        ) from error


def require_manifest(artifact_uri: str) -> Manifest:
    """Like `read_manifest`, for an input that must be there."""
    manifest = read_manifest(artifact_uri)
    if manifest is None:
        raise AuraError(f"{artifact_uri} has no {NAME}: run the stage that makes it first")
    return manifest


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Code revision, library versions and time of this run."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_sha": _git_sha(),
        "python": platform.python_version(),
        **versions,
    }


def _git_sha() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or "unknown"
