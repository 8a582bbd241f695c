"""What a user lays over a config: `stage.key=value` assignments, or a YAML or JSON text.

In a path a list is indexed by number; `*` stands for all of its items.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aura_core.config import Config
from aura_core.errors import AuraError
from aura_core.settings import as_data, unknown_setting


def override(config: Config, assignments: Sequence[str]) -> Config:
    """Apply `stage.key=value` assignments; values are YAML.

    Raises:
        AuraError: on a malformed assignment, an unknown key or a value that does not fit.
    """
    data = as_data(config)
    for assignment in assignments:
        path, separator, raw = assignment.partition("=")
        if not separator:
            raise AuraError(f"--set {assignment}: expected stage.key=value")
        value = _parsed(raw, f"--set {assignment}")
        try:
            _assign(data, path.split("."), value)
        except LookupError:
            message = f"--set {assignment}: {unknown_setting(path, data)}"
            raise AuraError(message) from None
    return validate(data)


def merge_file(config: Config, text: str) -> Config:
    """Lay the (nested) settings of a YAML or JSON text over `config`."""
    loaded = _parsed(text, "config file") or {}
    if not isinstance(loaded, Mapping):
        raise AuraError("a config file holds a mapping of stages to settings")
    return validate(_merged(as_data(config), loaded))


def validate(data: Mapping[str, Any]) -> Config:
    """Build a Config; every problem is named in one line each."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_problem(item, data) for item in error.errors())
        raise AuraError(f"config: {problems}") from error


def _problem(item: ErrorDetails, data: Mapping[str, Any]) -> str:
    where = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return unknown_setting(where, _without(data, item["loc"]))
    # Pydantic's words for a check of our own, which says enough by itself.
    reason = item["msg"].removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason


def _without(data: Any, path: Sequence[str | int]) -> Any:
    """The data without what lies at a path: an unknown name is no suggestion for itself."""
    first, *rest = path
    if isinstance(data, Mapping):
        kept = {key: value for key, value in data.items() if rest or key != first}
        return kept | ({first: _without(data[first], rest)} if rest else {})
    return [_without(item, rest) if i == first else item for i, item in enumerate(data)]


def _parsed(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise AuraError(f"{source}: neither YAML nor JSON ({problem})") from error


def _assign(node: Any, path: Sequence[str], value: Any) -> None:
    """Put a value at a path. Raises LookupError where the way to it ends."""
    part, *rest = path
    if isinstance(node, list) and part == "*":
        keys: Sequence[Any] = range(len(node))
    elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
        keys = [int(part)]
    elif isinstance(node, dict) and (part in node or not rest):
        keys = [part]
    else:
        raise LookupError(part)
    for key in keys:
        if rest:
            _assign(node[key], rest, value)
        else:
            node[key] = value


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over
