"""Why a stage is kept or run, and what a run is called, told by comparing it with others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aura_core.artifacts import store
from aura_core.artifacts.digest import canonical_json
from aura_core.artifacts.manifest import Manifest, read_manifest, require_manifest
from aura_core.config.overrides import MAIN, students
from aura_core.config.recipes import RECIPES
from aura_core.config.run import Config
from aura_core.stages import StageSpec

_ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One field, as the nearest artifact has it and as this run wants it."""

    field: str
    found: Any
    wanted: Any


@dataclass(frozen=True)
class StageStatus:
    """Kept or run; in the latter case the nearest artifact of that stage, if there is one."""

    spec: StageSpec
    kept: bool
    nearest_fingerprint: str | None = None
    difference: Difference | None = None


def explain(specs: Mapping[str, StageSpec]) -> list[StageStatus]:
    """Return the status of every stage, in the order of `specs`."""
    return [explain_stage(spec) for spec in specs.values()]


def explain_stage(spec: StageSpec) -> StageStatus:
    """Return the status of one stage. Reads its siblings only where it is to be run."""
    if read_manifest(spec.uri) is not None:
        return StageStatus(spec, kept=True)
    nearest = nearest_manifest(spec, list(sibling_manifests(spec)))
    if nearest is None:
        return StageStatus(spec, kept=False)
    return StageStatus(
        spec,
        kept=False,
        nearest_fingerprint=nearest.fingerprint,
        difference=first_difference(manifest_fields(nearest), spec_fields(spec)),
    )


def sibling_manifests(spec: StageSpec) -> Iterator[Manifest]:
    """Yield the manifests of the complete artifacts of the same stage below the same root."""
    folder = store.join(spec.root, spec.stage)
    for name in store.list_names(folder):
        manifest = read_manifest(store.join(folder, name))
        if manifest is not None:
            yield manifest


def nearest_manifest(spec: StageSpec, manifests: list[Manifest]) -> Manifest | None:
    """Return the manifest with the most equal fields; of equally near ones the newest."""
    wanted = spec_fields(spec)

    def nearness(manifest: Manifest) -> tuple[int, str]:
        found = manifest_fields(manifest)
        equal = sum(_same(found.get(name, _ABSENT), value) for name, value in wanted.items())
        return equal, manifest.provenance.get("created_at", "")

    return max(manifests, key=nearness, default=None)


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Difference | None:
    """Return the first field that differs, in the order of `wanted`; then what only `found` has."""
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        pair = found.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if not _same(*pair):
            return Difference(name, *pair)
    return None


def spec_fields(spec: StageSpec) -> dict[str, Any]:
    """Every hashed field of a spec by its dotted name; inputs last, their cause lies upstream."""
    inputs = {name: value[:12] for name, value in spec.input_fingerprints.items()}
    return _fields(spec.stage_version, spec.identity, inputs)


def manifest_fields(manifest: Manifest) -> dict[str, Any]:
    """The same fields of an existing artifact."""
    inputs = {name: uri.rstrip("/").rsplit("/", 1)[-1] for name, uri in manifest.inputs.items()}
    return _fields(manifest.stage_version, manifest.identity, inputs)


def _same(found: Any, wanted: Any) -> bool:
    """Whether two values are hashed alike: 32 and 32.0 are not."""
    return canonical_json(found) == canonical_json(wanted)


def _fields(
    stage_version: int, identity: Mapping[str, Any], inputs: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "stage_version": stage_version,
        **dict(flatten(identity)),
        **{f"inputs.{name}": value for name, value in inputs.items()},
    }


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, leaf); an empty list or mapping is a leaf."""
    prefix = f"{name}." if name else ""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{prefix}{key}")
    elif isinstance(value, list | tuple) and value:
        for i, item in enumerate(value):
            yield from flatten(item, f"{prefix}{i}")
    else:
        yield name, value


# What a run is called: the nearest recipe, and what differs from it.

# More changes are counted, not named.
_MAX_NAMED = 3
_STAGES = ("ingest", "teacher_cache", "text_lora", "evaluate")

# A setting by its dotted name, as text.
Settings = dict[str, str]


def recipe_name(inputs: Mapping[str, str]) -> str:
    """Name a run by its artifacts: `demo`, or `demo with distil.seed=1`.

    A recipe leaves no name behind, since the same settings make the same artifacts whatever they
    are called: it is the one with the fewest settings that differ.

    Args:
        inputs: URI of each artifact by its name: `ingest`, `distil`, `distil.aura.1`, ...

    Raises:
        AuraError: if one of them is incomplete.
    """
    ran = _of_run(inputs)
    differing = {name: _difference(ran, _of_recipe(make())) for name, make in RECIPES.items()}
    name = min(differing, key=lambda each: len(differing[each]))
    changes = differing[name]
    if not changes:
        return name
    if len(changes) > _MAX_NAMED:
        return f"{name} with {len(changes)} settings changed"
    return f"{name} with {', '.join(f'{key}={value}' for key, value in changes.items())}"


def _of_run(inputs: Mapping[str, str]) -> Settings:
    found: Settings = {}
    for name, uri in inputs.items():
        stage = name.partition(".")[0]
        if stage == "benchmark":
            found[name] = "yes"
        elif stage == MAIN or stage in _STAGES:
            identity = {**require_manifest(uri).identity}
            identity.pop("pinned", None)
            found |= _settings(name, identity)
    return found


def _of_recipe(config: Config) -> Settings:
    stages = {name: getattr(config, name) for name in _STAGES} | students(config)
    found = {f"benchmark.{name}": "yes" for name in config.benchmarks}
    for name, stage in stages.items():
        found |= _settings(name, stage.identity())
    return found


def _settings(name: str, identity: Mapping[str, object]) -> Settings:
    return {key: _text(key, value) for key, value in flatten(identity, name)}


def _text(key: str, value: object) -> str:
    # Of somebody's own files the name will do.
    return str(value).rstrip("/").rpartition("/")[2] if key == "ingest.manifest" else str(value)


def _difference(ran: Settings, recipe: Settings) -> Settings:
    return {
        key: ran.get(key, _ABSENT)
        for key in [*ran, *(key for key in recipe if key not in ran)]
        if ran.get(key, _ABSENT) != recipe.get(key, _ABSENT)
    }
