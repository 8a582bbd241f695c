"""One maker of an artifact at a time, as far as one machine knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from aura_core.artifacts import store
from aura_core.models.file_digest import cache_folder


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
