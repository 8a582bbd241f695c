"""The manifest of an artifact, who may write it, and which was written last.

`manifest.json` is written last: its existence is the only mark of completeness.
"""

import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.digest import cache_folder
from aura_core.artifacts.store import require_reachable
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


# One maker of an artifact at a time, as far as one machine knows.


@contextmanager
def only_maker(uri: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the artifact's lock; it falls with the process, however that ends.

    Beside the models in the cache folder, as an object store has no locks. Two machines that
    make one artifact both work, and the manifest of the later one stays.

    Args:
        uri: of the artifact.
        on_wait: called once if another process holds the lock, before waiting for it.
    """
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{store.xxh3(uri.encode())}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


# Which artifact of a stage was made last.


def newest_artifact(root: str, stage: str) -> str:
    """Return the URI of the stage's newest complete artifact.

    Raises:
        AuraError: if there is none, or the root is out of reach.
    """
    require_reachable(root)
    folder = store.join(root, stage)
    found: list[tuple[str, str]] = []
    for name in store.list_names(folder):
        uri = store.join(folder, name)
        manifest = read_manifest(uri)
        if manifest is not None:
            found.append((manifest.provenance.get("created_at", ""), uri))
    if not found:
        raise AuraError(f"no finished {stage} below {root}: `aura run` makes one")
    return max(found)[1]
