"""Check every byte of a finished cache, and clear the way for a repair."""

from collections.abc import Iterator
from dataclasses import dataclass

from aura_core.artifacts import manifest, store
from aura_core.artifacts.manifest import FileEntry
from aura_core.cache.catalogue import SHARDS, Catalogue, cache_files


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
