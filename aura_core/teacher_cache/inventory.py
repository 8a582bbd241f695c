"""What caches there are below a root, what is of no more use, and what is damaged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aura_core.artifacts import manifest, store
from aura_core.artifacts.manifest import FileEntry, Manifest, read_manifest
from aura_core.artifacts.store import require_reachable
from aura_core.teacher_cache import plan as planning
from aura_core.teacher_cache.plan import Plan
from aura_core.teacher_cache.record import (
    SHARDS,
    Catalogue,
    cache_files,
    members_path,
    record_path,
    shard_of,
)

STAGE = "teacher_cache"
_SPEC = "spec.json"


@dataclass(frozen=True)
class CacheState:
    """One cache: `manifest` is None while it is not finished."""

    uri: str
    manifest: Manifest | None
    shards_done: int
    shards_planned: int | None

    @property
    def name(self) -> str:
        """The folder's name, the first digits of the fingerprint."""
        return self.uri.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Garbage:
    """A file no manifest refers to."""

    uri: str
    size_bytes: int
    modified_s: float  # seconds since the epoch
    reason: str


def list_caches(root: str) -> list[CacheState]:
    """Return all caches below `root`, by name. Raises AuraError if it is out of reach."""
    require_reachable(root)
    folder = store.join(root, STAGE)
    return [_state(store.join(folder, name)) for name in store.list_names(folder)]


def statistics(uri: str, found: Manifest) -> dict[str, Any]:
    """Figures of a finished cache: counts, hours, bytes per hour, errors of storage."""
    hours = found.metrics["duration_s"] / 3600
    return {
        "uri": uri,
        **found.counts,
        "audio_hours": hours,
        "bytes_per_audio_hour": found.counts["size_bytes"] / hours,
        "mean_utterance_s": 3600 * hours / found.counts["utterances"],
        "storage_error": found.metrics["storage_error"],
        "settings": {k: v for k, v in found.identity.items() if k != "pinned"},
    }


def list_garbage(root: str) -> Iterator[Garbage]:
    """Yield the files below `root`'s caches that no manifest refers to.

    Of an unfinished cache that is every file: finish it by running the stage again, or
    let it go.
    """
    for cache in list_caches(root):
        wanted = _referred(cache)
        reason = "of no use any more" if cache.manifest else "of an unfinished cache"
        for path, info in store.list_tree(cache.uri).items():
            if path not in wanted:
                yield Garbage(store.join(cache.uri, path), info.size_bytes, info.modified_s, reason)


def _state(uri: str) -> CacheState:
    names = store.list_names(store.join(uri, "shards"))
    return CacheState(
        uri=uri,
        manifest=read_manifest(uri),
        shards_done=sum(name.endswith(".json") for name in names),
        shards_planned=_planned(uri),
    )


def _planned(uri: str) -> int | None:
    try:
        plan = Plan.model_validate_json(store.read_bytes(store.join(uri, planning.NAME)))
    except (FileNotFoundError, ValidationError):
        return None
    return len(plan.shards)


def _referred(cache: CacheState) -> set[str]:
    """Paths a finished cache needs, or needs to be repaired."""
    if cache.manifest is None:
        return set()
    catalogue = Catalogue.model_validate_json(store.read_bytes(store.join(cache.uri, SHARDS)))
    wanted = {manifest.NAME, _SPEC, *(entry.path for entry in cache.manifest.files)}
    for tar in catalogue.tars:
        wanted |= {tar.path, members_path(shard_of(tar)), record_path(shard_of(tar))}
    return wanted


# Check every byte of a finished cache, and clear the way for a repair.


@dataclass(frozen=True)
class Problem:
    """A file that is not what was published."""

    path: str
    reason: str


def verify_cache(uri: str) -> Iterator[tuple[str, int, Problem | None]]:
    """Check all files of a finished cache against their digests.

    Yields:
        Path, size in bytes as published, and the problem if there is one.

    Raises:
        AuraError: if the cache is not finished.
    """
    for entry in _published(uri):
        yield entry.path, entry.size_bytes, _check(uri, entry)


def repair_cache(uri: str, problems: list[Problem]) -> None:
    """Take away what is damaged, so that running the stage again makes it anew.

    The manifest goes first: until then the cache is not finished and nothing trains on it.
    """
    store.remove(store.join(uri, manifest.NAME))
    for problem in problems:
        store.remove(store.join(uri, problem.path))


def total_bytes(uri: str) -> int:
    """Bytes that `verify_cache` reads."""
    return sum(entry.size_bytes for entry in _published(uri))


def _published(uri: str) -> list[FileEntry]:
    """What the manifest vouches for, and what the catalogue does."""
    files = list(cache_files(uri).values())
    try:
        data = store.read_bytes(store.join(uri, SHARDS))
        return [*files, *Catalogue.model_validate_json(data).tars]
    except (FileNotFoundError, ValueError):
        # The catalogue is damaged itself, which is a problem of its own.
        return files


def _check(uri: str, entry: FileEntry) -> Problem | None:
    try:
        with store.local_file(store.join(uri, entry.path)) as local:
            found = local.stat().st_size
            if found != entry.size_bytes:
                return Problem(entry.path, f"{found} bytes, expected {entry.size_bytes}")
            sound = store.file_xxh3(local) == entry.xxh3
            return None if sound else Problem(entry.path, "damaged")
    except FileNotFoundError:
        return Problem(entry.path, "missing")
