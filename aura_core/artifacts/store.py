"""Files of an artifact, on local disk or `s3://`, behind one set of functions.

Every write lands whole or not at all: a local file is renamed into place, an
object is uploaded from a finished local file (a handle closed by an exception
would publish a short object).
"""

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import fsspec
import xxhash
from botocore.exceptions import BotoCoreError
from fsspec.spec import AbstractFileSystem

from aura_core.errors import AuraError, system_error_line

# Do slow reads ahead of whoever needs them.

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], *, threads: int, depth: int
) -> Generator[Result, None, None]:
    """Yield `read(item)` of each item in order, at most `depth` of them read in advance.

    An exception of `read` is raised where its result would have been. Closing the
    iterator drops what was not asked for.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    try:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# Names of folders of half-written files begin with it.
TEMPORARY = ".tmp-"
_CHUNK_BYTES = 1 << 20
# Waits of up to 0.5, 1, 2, 4, 8, 16 and then 20 s lie between them.
_S3_ATTEMPTS = 12


def is_remote(uri: str) -> bool:
    """Whether `uri` names an object store and not a local path."""
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *parts: str) -> str:
    """Append path segments to a local path or URI."""
    return "/".join([uri.rstrip("/"), *parts])


def filesystem(uri: str, s3_attempts: int = _S3_ATTEMPTS) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec filesystem of `uri` and the path inside it.

    Raises:
        AuraError: for a scheme that is unknown or whose library is not installed.
    """
    if not is_remote(uri):
        # By name, as fsspec takes `::` in a file's name for a chain of filesystems.
        path = Path(uri.removeprefix("file://")).expanduser().absolute()
        return fsspec.filesystem("file"), str(path)
    try:
        fs, path = fsspec.core.url_to_fs(uri, **_options(uri, s3_attempts))
    except (ValueError, ImportError) as error:
        raise AuraError(f"{uri}: {error}; name a folder or an s3:// URI") from error
    return fs, path


def _options(uri: str, attempts: int) -> dict[str, Any]:
    """Have S3 tried this often, where nothing of the user's says otherwise."""
    if not uri.startswith("s3://") or "config_kwargs" in fsspec.config.conf.get("s3", {}):
        return {}
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", attempts))
    mode = os.environ.get("AWS_RETRY_MODE", "standard")
    return {"config_kwargs": {"retries": {"mode": mode, "total_max_attempts": attempts}}}


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
    """Read a whole file of UTF-8. Raises FileNotFoundError, and AuraError if it is not UTF-8."""
    try:
        return read_bytes(uri).decode()
    except UnicodeDecodeError as error:
        raise AuraError(f"{uri} is not UTF-8 text ({error.reason})") from error


def write_bytes(uri: str, data: bytes) -> None:
    """Publish `data` at `uri` atomically."""
    with staged(uri) as path:
        path.write_bytes(data)


def write_text(uri: str, text: str) -> None:
    write_bytes(uri, text.encode())


@contextmanager
def scratch(uri: str) -> Iterator[Path]:
    """Yield a local folder to write in before publishing below `uri`; it is removed after.

    Beside a local `uri`, so that publishing is a rename on one disk.
    """
    if is_remote(uri):
        with tempfile.TemporaryDirectory(prefix="aura-") as folder:
            yield Path(folder)
        return
    parent = _local(uri)
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=parent) as folder:
        yield Path(folder)


def publish(path: Path, uri: str) -> None:
    """Move a finished local file (from `scratch`) to `uri`, atomically.

    Raises:
        OSError: if an object does not have the file's size after its upload.
    """
    if is_remote(uri):
        fs, remote = filesystem(uri)
        fs.put_file(str(path), remote)
        fs.invalidate_cache(fs._parent(remote))
        if int(fs.size(remote)) != path.stat().st_size:
            raise OSError(f"{uri} was not uploaded whole")
        return
    target = _local(uri)
    _fsync(path)
    path.replace(target)
    _fsync(target.parent)


@contextmanager
def staged(uri: str) -> Iterator[Path]:
    """Yield a local path to write; publish it at `uri` when the block succeeds.

    On an exception nothing appears at `uri`.
    """
    folder_uri, _, name = uri.rpartition("/")
    with scratch(folder_uri) as folder:
        yield folder / name
        publish(folder / name, uri)


def upload_folder(folder: Path, uri: str) -> None:
    """Publish every file below `folder` under `uri`, each atomically."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with staged(join(uri, *path.relative_to(folder).parts)) as target:
            shutil.copyfile(path, target)


@contextmanager
def local_folder(uri: str) -> Iterator[Path]:
    """Yield a local view of the folder `uri`: itself, or a temporary download."""
    if not is_remote(uri):
        yield _local(uri)
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
        yield _local(uri)
        return
    fs, remote = filesystem(uri)
    with tempfile.TemporaryDirectory(prefix="aura-") as folder:
        target = Path(folder) / uri.rsplit("/", 1)[-1]
        fs.get_file(remote, str(target))
        yield target


def list_names(uri: str) -> list[str]:
    """Sorted names of what is published directly below `uri`; empty if it does not exist."""
    fs, path = filesystem(uri)
    fs.invalidate_cache()
    if not fs.exists(path):
        return []
    names = (entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False))
    # A killed writer leaves its half-written files behind.
    return sorted(name for name in names if not name.startswith(TEMPORARY))


class FileInfo(NamedTuple):
    """Of one file."""

    size_bytes: int
    modified_s: float  # seconds since the epoch


def list_tree(uri: str) -> dict[str, FileInfo]:
    """Path -> what is known of every file below `uri`, at any depth."""
    fs, root = filesystem(uri)
    fs.invalidate_cache()
    found: dict[str, FileInfo] = {}
    for name, info in fs.find(root, detail=True).items():
        modified = info.get("mtime", info.get("LastModified", 0.0))
        modified_s = modified.timestamp() if isinstance(modified, datetime) else float(modified)
        found[name.removeprefix(root).lstrip("/")] = FileInfo(int(info["size"]), modified_s)
    return found


def read_spans(uris: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Read bytes `start` to `stop` of each file; of an object store all at a time.

    Raises:
        FileNotFoundError: if a file is missing.
    """
    if not uris:
        return []
    if is_remote(uris[0]):
        fs, _ = filesystem(uris[0])
        paths = [filesystem(uri)[1] for uri in uris]
        starts, stops = zip(*spans, strict=True)
        return [bytes(data) for data in fs.cat_ranges(paths, starts, stops, on_error="raise")]
    return [_read_span(_local(uri), *span) for uri, span in zip(uris, spans, strict=True)]


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


def file_xxh3(path: Path) -> str:
    """128-bit XXH3 hex digest of a local file, whatever its size."""
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _read_span(path: Path, start: int, stop: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, stop - start, start)
    finally:
        os.close(descriptor)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Whether a place answers and can be written to, asked before a command begins to rely on it.

# Work under way waits out an outage; one who has mistyped an endpoint should not have to.
_ATTEMPTS = 2


@cache
def require_reachable(uri: str) -> None:
    """List one object below an `s3://` URI, once a process; other URIs are not looked at.

    Raises:
        AuraError: if the endpoint does not answer, the credentials are missing or refused, or
            there is no such bucket.
    """
    if not uri.startswith("s3://"):
        return
    fs, path = filesystem(uri, _ATTEMPTS)
    bucket, _, prefix = path.partition("/")
    try:
        fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except FileNotFoundError:
        raise AuraError(f"{uri}: there is no bucket {bucket!r}; make it or name another") from None
    except PermissionError as error:
        raise AuraError(f"{uri} may not be listed: {error}; check the AWS credentials") from None
    except (BotoCoreError, OSError) as error:
        raise AuraError(
            f"{uri} is out of reach: {error}; check AWS_ENDPOINT_URL_S3 and the AWS credentials"
        ) from None


def require_writable(folder: str) -> None:
    """Make a local folder if it is not there, and write a file there that is gone at once.

    Of an object store nothing is asked: rights to write show with the first object.

    Raises:
        AuraError: if the system refuses it.
    """
    if is_remote(folder):
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=TEMPORARY, dir=folder) as file:
            file.write(b"here")
    except OSError as error:
        raise AuraError(system_error_line(error, folder)) from None
