"""What pins the content of source audio, without reading a large corpus on every run."""

import contextlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

import xxhash

from aura_core.artifacts import store
from aura_core.models.file_digest import cache_folder

_READ_BYTES = 1 << 20
MISSING = "missing"


def content_digests(uris: Iterable[str]) -> dict[str, str]:
    """Return URI -> size and digest of the content, or `MISSING`.

    A local file is hashed; an object counts by the entity tag its store keeps.
    The digests of a set of local files are remembered for as long as no file's
    size or time of change differs.
    """
    uris = sorted(set(uris))
    local = [uri for uri in uris if not store.is_remote(uri)]
    remote = [uri for uri in uris if store.is_remote(uri)]
    return _local_digests(local) | _remote_digests(remote)


def _local_digests(uris: list[str]) -> dict[str, str]:
    signature = xxhash.xxh3_128()
    for uri in uris:
        signature.update(f"{uri}\0{_stamp(uri)}\n".encode())
    note = cache_folder() / "corpora" / f"{signature.hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError):
        remembered: dict[str, str] = json.loads(note.read_text())
        return remembered
    digests = {uri: _file_digest(uri) for uri in uris}
    # A read-only home costs only the memory, not the run.
    with contextlib.suppress(OSError):
        store.write_text(str(note), json.dumps(digests))
    return digests


def _stamp(uri: str) -> str:
    fs, path = store.filesystem(uri)
    try:
        info = fs.info(path)
    except FileNotFoundError:
        return MISSING
    return f"{info['size']} {info['mtime']!r}"


def _file_digest(uri: str) -> str:
    fs, path = store.filesystem(uri)
    digest, size_bytes = xxhash.xxh3_128(), 0
    try:
        with fs.open(path, "rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
                size_bytes += len(data)
    except (FileNotFoundError, IsADirectoryError):
        return MISSING
    return f"{size_bytes} {digest.hexdigest()}"


def _remote_digests(uris: list[str]) -> dict[str, str]:
    listings: dict[str, Mapping[str, Any]] = {}
    digests = {}
    for uri in uris:
        folder = posixpath.dirname(uri)
        if folder not in listings:
            listings[folder] = _listing(folder)
        info = listings[folder].get(store.filesystem(uri)[1])
        tag = info and (info.get("ETag") or info.get("etag"))
        digests[uri] = f"{info['size']} {tag}" if info and tag else _file_digest(uri)
    return digests


def _listing(folder: str) -> dict[str, Any]:
    fs, path = store.filesystem(folder)
    fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return {entry["name"]: entry for entry in fs.ls(path, detail=True)}
    return {}
