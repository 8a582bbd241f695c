"""What a run is called: the nearest recipe, and what differs from it."""

from collections.abc import Mapping

from aura_core.ablation import MAIN, students
from aura_core.artifacts.manifest import require_manifest
from aura_core.config import Config
from aura_core.explain import flatten
from aura_core.recipes import RECIPES

# More changes are counted, not named.
_MAX_NAMED = 3
_STAGES = ("ingest", "teacher_cache", "text_lora", "evaluate")
_ABSENT = "(absent)"

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
