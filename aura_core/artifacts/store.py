"""Files of an artifact, on local disk or `s3://`, behind one set of functions.

Every write lands whole or not at all: a local file is renamed into place, an
object is uploaded from a finished local file (a handle closed by an exception
would publish a short object).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import xxhash
from fsspec.spec import AbstractFileSystem


def is_remote(uri: str) -> bool:
    """Whether `uri` names an object store and not a local path."""
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *parts: str) -> str:
    """Append path segments to a local path or URI."""
    return "/".join([uri.rstrip("/"), *parts])


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec filesystem of `uri` and the path inside it."""
    fs, path = fsspec.core.url_to_fs(uri)
    return fs, path


def exists(uri: str) -> bool:
    fs, path = filesystem(uri)
    # Another process may just have written it: a cached listing would hide it.
    fs.invalidate_cache()
    return bool(fs.exists(path))


def read_bytes(uri: str) -> bytes:
    """Read a whole file. Raises FileNotFoundError."""
    fs, path = filesystem(uri)
    return bytes(fs.cat_file(path))


def read_text(uri: str) -> str:
    return read_bytes(uri).decode()


def write_bytes(uri: str, data: bytes) -> None:
    """Publish `data` at `uri` atomically."""
    with staged(uri) as path:
        path.write_bytes(data)


def write_text(uri: str, text: str) -> None:
    write_bytes(uri, text.encode())


@contextmanager
def staged(uri: str) -> Iterator[Path]:
    """Yield a local path to write; publish it at `uri` when the block succeeds.

    On an exception nothing appears at `uri`.
    """
    if is_remote(uri):
        with tempfile.TemporaryDirectory(prefix="aura-") as folder:
            path = Path(folder) / uri.rsplit("/", 1)[-1]
            yield path
            fs, remote = filesystem(uri)
            fs.put_file(str(path), remote)
        return
    target = Path(uri.removeprefix("file://"))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=target.parent) as folder:
        path = Path(folder) / target.name
        yield path
        _fsync(path)
        path.replace(target)
        _fsync(target.parent)


def upload_folder(folder: Path, uri: str) -> None:
    """Publish every file below `folder` under `uri`, each atomically."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with staged(join(uri, *path.relative_to(folder).parts)) as target:
            shutil.copyfile(path, target)


@contextmanager
def local_folder(uri: str) -> Iterator[Path]:
    """Yield a local view of the folder `uri`: itself, or a temporary download."""
    if not is_remote(uri):
        yield Path(uri.removeprefix("file://"))
        return
    fs, remote = filesystem(uri)
    with tempfile.TemporaryDirectory(prefix="aura-") as folder:
        for name in fs.find(remote):
            target = Path(folder) / name.removeprefix(remote).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(name, str(target))
        yield Path(folder)


@contextmanager
def local_file(uri: str) -> Iterator[Path]:
    """Yield a local path of the file `uri`: itself, or a temporary download."""
    if not is_remote(uri):
        yield Path(uri.removeprefix("file://"))
        return
    fs, remote = filesystem(uri)
    with tempfile.TemporaryDirectory(prefix="aura-") as folder:
        target = Path(folder) / uri.rsplit("/", 1)[-1]
        fs.get_file(remote, str(target))
        yield target


def list_names(uri: str) -> list[str]:
    """Sorted names of the entries directly below `uri`; empty if it does not exist."""
    fs, path = filesystem(uri)
    fs.invalidate_cache()
    if not fs.exists(path):
        return []
    return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False))


def remove(uri: str) -> None:
    """Delete a file if it exists."""
    fs, path = filesystem(uri)
    if fs.exists(path):
        fs.rm_file(path)


def size_bytes(uri: str) -> int:
    fs, path = filesystem(uri)
    return int(fs.size(path))


def xxh3(data: bytes) -> str:
    """128-bit XXH3 hex digest."""
    return xxhash.xxh3_128_hexdigest(data)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
