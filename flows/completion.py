"""What a shell offers when <TAB> is pressed: names of settings, stages, recipes, benchmarks.

Installed by `aura --install-completion`; the shell then asks `aura` itself.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aura_core.benchmarks.benchmark import EMBEDDED
from aura_core.benchmarks.catalogue import BENCHMARKS
from aura_core.pipeline import STAGE_INPUTS
from aura_core.recipes import RECIPES, recipe, summary
from aura_core.settings import Setting, settings

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

DEFAULT_RECIPE = "demo"


def recipe_names(_context: "CompletionContext") -> Mapping[str, str]:
    """Recipes and what they are."""
    return {name: summary(name) for name in RECIPES}


def stage_names(_context: "CompletionContext") -> Mapping[str, str]:
    """Stages and what they read."""
    return {
        stage: f"reads {', '.join(inputs)}" if inputs else "reads no other stage"
        for stage, inputs in STAGE_INPUTS.items()
    }


def benchmark_names(_context: "CompletionContext") -> Mapping[str, str]:
    """Benchmarks and what they are."""
    return {each.name: each.description for each in BENCHMARKS.values()}


def benchmark_sources(_context: "CompletionContext") -> Mapping[str, str]:
    """The same as `--benchmark` takes them: with a folder, where one is needed."""
    return {
        each.name if each.layout == EMBEDDED else f"{each.name}=": each.description
        for each in BENCHMARKS.values()
    }


def setting_names(context: "CompletionContext") -> Mapping[str, str]:
    """The recipe's settings by name, and the groups they lie in."""
    found = {each.name: _description(each) for each in _settings(context)}
    groups = {name.rpartition(".")[0] for name in found} - {""}
    return dict.fromkeys(sorted(groups), "") | found


def assignments(context: "CompletionContext") -> Mapping[str, str]:
    """The recipe's settings with their values, to be changed."""
    return {f"{each.name}={_value(each)}": _description(each) for each in _settings(context)}


def _settings(context: "CompletionContext") -> list[Setting]:
    chosen = context.get("recipe")
    name = chosen.raw if chosen else None
    return list(settings(recipe(name if name in RECIPES else DEFAULT_RECIPE)))


def _description(setting: Setting) -> str:
    return f"{setting.kind}; {setting.description}"


def _value(setting: Setting) -> str:
    """The value as YAML; empty for what is too long to be changed at a prompt."""
    if isinstance(setting.value, str):
        return setting.value if setting.value.isprintable() and " " not in setting.value else ""
    return "" if isinstance(setting.value, list | dict) else json.dumps(setting.value)
