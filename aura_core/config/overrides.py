"""What may be set, what a user lays over a config, and the students that a config makes.

Settings are named `stage.key`. In a path a list is indexed by number; `*` stands for all of its
items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from aura_core.config.run import Config
from aura_core.config.train import TrainConfig
from aura_core.errors import AuraError

# Every setting of a config by the name that `--set` takes, and what to say of an unknown one.

_SHOWN = 3


@dataclass(frozen=True)
class Setting:
    """One that `--set` can assign; `kind` is its type in words, `value` plain data."""

    name: str
    kind: str
    value: Any
    description: str


def as_data(value: Any) -> Any:
    """Return a config as plain mappings, lists and scalars, with every setting it has.

    A dump by pydantic would leave out those that only count where they are not the default.
    """
    if isinstance(value, BaseModel):
        return {name: as_data(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    return value


def settings(config: BaseModel, prefix: str = "") -> Iterator[Setting]:
    """Yield every setting with its value in `config`, in the order of its stages."""
    for name, field in type(config).model_fields.items():
        value, path = getattr(config, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from settings(value, f"{path}.")
        elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
            for i, item in enumerate(value):
                yield from settings(item, f"{path}.{i}.")
        else:
            kind = _kind(field.annotation, field.metadata)
            yield Setting(path, kind, as_data(value), field.description or "")


def unknown_setting(name: str, data: Mapping[str, Any]) -> str:
    """Return what to say of a dotted name that is no setting: what was meant, what there is.

    A stage may have been left out: of `lora.rnk` it says `distil.lora.rank`.

    Args:
        name: as the user wrote it.
        data: a config as `as_data` returns it.
    """
    parts = name.split(".")
    meant = _under_the_same(data, parts) or _spelt_alike(data, parts)
    level, there = _level(data, meant[0].split(".")[:-1] if meant else parts)
    question = f"did you mean {' or '.join(meant[:_SHOWN])}? " if meant else ""
    return f"no setting {name}: {question}{_listing(level, there)}"


def _under_the_same(data: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """Settings of that very name deeper down, as for `distil.loss`."""
    level, there = _level(data, parts)
    deeper = [".".join(path) for path in _paths(there) if path[-1] == parts[-1]]
    return [f"{level}.{name}" for name in deeper] if level else []


def _spelt_alike(data: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """Settings whose name, or the end of it, is spelt much like this."""
    by_ending: dict[str, list[str]] = {}
    for path in _paths(data):
        by_ending.setdefault(".".join(path[-len(parts) :]), []).append(".".join(path))
    close = get_close_matches(".".join(parts), by_ending, n=1, cutoff=0.7)
    found = by_ending[close[0]] if close else []
    return close if close and close[0] in found else found


def _listing(level: str, there: Any) -> str:
    if not level:
        return f"it begins with one of {', '.join(there)} (`aura settings`)"
    if isinstance(there, list) and there:
        return f"{level} has items 0 to {len(there) - 1}, and * for all"
    if isinstance(there, Mapping) and there:
        return f"{level} has {', '.join(map(str, there))} (`aura settings {level}`)"
    return f"{level} has no settings below it"


def _level(data: Any, parts: Sequence[str]) -> tuple[str, Any]:
    """Return the name of the deepest part that is there, and what it holds."""
    done: list[str] = []
    for part in parts:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and part == "*" and data:
            data = data[0]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            break
        done.append(part)
    return ".".join(done), data


def _paths(data: Any, done: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to every setting, and to every group of settings."""
    if isinstance(data, Mapping):
        children = [(str(key), value) for key, value in data.items()]
    elif isinstance(data, list):
        children = [(str(i), value) for i, value in enumerate(data)]
    else:
        return
    for part, value in children:
        yield (*done, part)
        yield from _paths(value, (*done, part))


def _kind(annotation: Any, constraints: Sequence[Any] = ()) -> str:
    """Return a type in words, as a value of it is written."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        fields = (each.metadata for each in arguments[1:] if isinstance(each, FieldInfo))
        return _kind(arguments[0], list(chain(*fields)))
    if origin in (Union, UnionType):
        written = [_kind(each, constraints) for each in arguments if each is not NoneType]
        return " or ".join([*written, *(["null"] if NoneType in arguments else [])])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is tuple:
        items = ["..." if each is Ellipsis else _kind(each) for each in arguments]
        return f"[{', '.join(items)}]"
    if origin is dict:
        return f"{{{_kind(arguments[0])}: {_kind(arguments[1])}}}"
    return " ".join([annotation.__name__, *filter(None, map(_bound, constraints))])


def _bound(constraint: Any) -> str:
    for kind, sign in ((Ge, ">="), (Gt, ">"), (Le, "<="), (Lt, "<")):
        if isinstance(constraint, kind):
            return f"{sign} {getattr(constraint, kind.__name__.lower())}"
    return ""


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


# The students of a run: `aura`, and its variants on the same cache, each with every seed.

AURA = "aura"
# The student every run has; the others are `distil.<variant>.<seed>`.
MAIN = "distil"


def students(config: Config) -> dict[str, TrainConfig]:
    """Return every student's config by its name, `distil` first.

    Raises:
        AuraError: naming the variant, if its settings are unknown or contradict each other.
    """
    seeds = config.ablation.seeds or (config.distil.seed,)
    models = {AURA: config.distil}
    models |= {name: _variant(config, name, s) for name, s in config.ablation.variants.items()}
    found = {MAIN: config.distil}
    for variant, student in models.items():
        for seed in seeds:
            if (variant, seed) != (AURA, config.distil.seed):
                found[f"{MAIN}.{variant}.{seed}"] = student.model_copy(update={"seed": seed})
    return found


def by_model(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Group the students among `names` by model: {"aura": ["distil", "distil.aura.1"], ...}."""
    found: dict[str, list[str]] = {}
    for name in names:
        stage, *rest = name.split(".")
        if stage == MAIN:
            found.setdefault(rest[0] if rest else AURA, []).append(name)
    return found


def _variant(config: Config, name: str, settings: Iterable[str]) -> TrainConfig:
    try:
        return override(config, [f"{MAIN}.{setting}" for setting in settings]).distil
    except AuraError as error:
        raise AuraError(f"ablation.variants.{name}: {error}") from error
