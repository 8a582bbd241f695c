"""Content addresses of stages: the same identity gives the same folder."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from aura_core.errors import AuraError


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
