"""What a user lays over a config: `stage.key=value` assignments, or a YAML or JSON text.

In a path a list is indexed by number; `*` stands for all of its items.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from aura_core.config import Config
from aura_core.errors import AuraError


def override(config: Config, assignments: Sequence[str]) -> Config:
    """Apply `stage.key=value` assignments; values are YAML.

    Raises:
        AuraError: on a malformed assignment, an unknown key or a value that does not fit.
    """
    data = config.model_dump(mode="python")
    for assignment in assignments:
        path, separator, raw = assignment.partition("=")
        if not separator:
            raise AuraError(f"--set {assignment}: expected stage.key=value")
        _assign(data, path.split("."), _parsed(raw, f"--set {assignment}"), assignment)
    return validate(data)


def merge_file(config: Config, text: str) -> Config:
    """Lay the (nested) settings of a YAML or JSON text over `config`."""
    loaded = _parsed(text, "config file") or {}
    if not isinstance(loaded, Mapping):
        raise AuraError("a config file holds a mapping of stages to settings")
    return validate(_merged(config.model_dump(mode="python"), loaded))


def validate(data: Mapping[str, Any]) -> Config:
    """Build a Config; every problem is named in one line each."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
        raise AuraError(f"config: {problems}") from error


def _parsed(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise AuraError(f"{source}: neither YAML nor JSON ({problem})") from error


def _assign(
    node: Any, path: Sequence[str], value: Any, assignment: str, done: Sequence[str] = ()
) -> None:
    part, *rest = path
    last = not rest
    if isinstance(node, list) and part == "*":
        keys: Sequence[Any] = range(len(node))
    elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
        keys = [int(part)]
    elif isinstance(node, dict) and (part in node or last):
        keys = [part]
    else:
        raise AuraError(f"--set {assignment}: no setting {'.'.join([*done, part])}")
    for key in keys:
        if last:
            node[key] = value
        else:
            if isinstance(node[key], tuple):
                node[key] = list(node[key])
            _assign(node[key], rest, value, assignment, [*done, part])


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over
