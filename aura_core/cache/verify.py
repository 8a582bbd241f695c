"""Check every byte of a finished cache, and clear the way for a repair."""

from collections.abc import Iterator
from dataclasses import dataclass

from aura_core.artifacts import manifest, store
from aura_core.artifacts.manifest import require_manifest
from aura_core.cache.catalogue import SHARDS, Catalogue
from aura_core.cache.record import Published
from aura_core.errors import AuraError


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
    files = {entry.path: entry for entry in require_manifest(uri).files}
    if SHARDS not in files:
        raise AuraError(f"{uri} is not a teacher cache: its manifest lists no {SHARDS}")
    for entry in files.values():
        yield entry.path, entry.size_bytes, _check(uri, entry.path, entry.size_bytes, entry.xxh3)
    for tar in _tars(uri):
        yield tar.path, tar.size_bytes, _check(uri, tar.path, tar.size_bytes, tar.xxh3)


def repair_cache(uri: str, problems: list[Problem]) -> None:
    """Take away what is damaged, so that running the stage again makes it anew.

    The manifest goes first: until then the cache is not finished and nothing trains on it.
    """
    store.remove(store.join(uri, manifest.NAME))
    for problem in problems:
        store.remove(store.join(uri, problem.path))


def total_bytes(uri: str) -> int:
    """Bytes that `verify_cache` reads."""
    files = require_manifest(uri).files
    return sum(entry.size_bytes for entry in files) + sum(tar.size_bytes for tar in _tars(uri))


def _tars(uri: str) -> tuple[Published, ...]:
    """The catalogue's tars; none if it is damaged itself, which is a problem of its own."""
    try:
        data = store.read_bytes(store.join(uri, SHARDS))
        return Catalogue.model_validate_json(data).tars
    except (FileNotFoundError, ValueError):
        return ()


def _check(uri: str, path: str, size_bytes: int, xxh3: str) -> Problem | None:
    try:
        with store.local_file(store.join(uri, path)) as local:
            found = local.stat().st_size
            if found != size_bytes:
                return Problem(path, f"{found} bytes, expected {size_bytes}")
            return None if store.file_xxh3(local) == xxh3 else Problem(path, "damaged")
    except FileNotFoundError:
        return Problem(path, "missing")
