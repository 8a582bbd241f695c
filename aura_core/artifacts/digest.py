"""Digests: of files, remembered, and of stages, whose artifacts they are the addresses of."""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aura_core.errors import AuraError

# SHA-256 of files, remembered so that an unchanged file is read only once.
#
# A remembered digest holds for one (path, size, mtime) and lives in the cache folder: a run that
# finds everything done must not read 240 MB of weights.


def cache_folder() -> Path:
    """`$AURA_CACHE`, or `~/.cache/aura`."""
    return Path(os.environ.get("AURA_CACHE") or Path.home() / ".cache" / "aura")


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file's content. Raises FileNotFoundError."""
    path = path.resolve()
    stat = path.stat()
    key = {"path": str(path), "size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    note = cache_folder() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        remembered = json.loads(note.read_text())
        if {name: remembered[name] for name in key} == key:
            return str(remembered["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A read-only home costs only the memory, not the run.
    with contextlib.suppress(OSError):
        _write(note, json.dumps({**key, "sha256": digest}))
    return digest


def folder_sha256(folder: Path) -> str:
    """Return one hex digest over the names and contents of all files below `folder`."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


def canonical_json(value: Any) -> str:
    """Encode `value` as JSON with sorted keys and no white space.

    Raises:
        AuraError: for anything whose encoding could differ between two runs
            (callables, arbitrary objects, NaN, non-string keys).
    """
    _check_encodable(value, path="$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(
    stage: str, stage_version: int, identity: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Return the SHA-256 hex digest that names a stage's artifact.

    `inputs` maps an input's role to that input's own fingerprint.
    """
    payload = {
        "stage": stage,
        "stage_version": stage_version,
        "identity": dict(identity),
        "inputs": dict(inputs),
    }
    return hashlib.sha256(canonical_json(payload).encode()).hexdigest()


def _check_encodable(value: Any, path: str) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise AuraError(f"cannot fingerprint {path}: {value} is not a finite number")
        return
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_encodable(item, f"{path}[{i}]")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise AuraError(f"cannot fingerprint {path}: key {key!r} is not a string")
            _check_encodable(item, f"{path}.{key}")
        return
    raise AuraError(f"cannot fingerprint {path}: {type(value).__name__} has no canonical encoding")
