"""`aura recipes` and `aura settings`: what there is to choose from, before a run."""

import json
from typing import Annotated

import yaml
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from aura_core.config.overrides import as_data, settings, unknown_setting
from aura_core.config.recipes import RECIPES, recipe, summary
from aura_core.errors import AuraError
from flows import options
from flows.display import out
from flows.options import AsJson


def recipes(
    name: Annotated[str | None, Parameter(completer=options.recipe_names)] = None, /
) -> None:
    """List the recipes, or print one with all its settings.

    What it prints of one is a file for `--config`: change it, then `aura run --config mine.yaml`.

      aura recipes
      aura recipes demo
      aura recipes demo > mine.yaml

    Parameters
    ----------
    name:
        The recipe to print. [default: list them all]
    """
    if name is None:
        for each in RECIPES:
            out.print(f"[bold]{each:21}[/] {summary(each)}")
    else:
        print(yaml.safe_dump(as_data(recipe(name)), sort_keys=False, width=100), end="")


def settings_(
    prefix: Annotated[str, Parameter(completer=options.setting_names)] = "",
    /,
    *,
    name: Annotated[
        str, Parameter(name="--recipe", completer=options.recipe_names)
    ] = options.DEFAULT_RECIPE,
    as_json: AsJson = False,
) -> None:
    """List what `--set` can change: name, type, value in the recipe, meaning.

    A change runs its stage again, and what depends on it; one of a `runtime` runs nothing again.

      aura settings
      aura settings distil.lora
      aura settings evaluate --recipe smoke --json

    Parameters
    ----------
    prefix:
        Only this setting, or those of this stage or group: `distil`, `distil.lora`.
    name:
        Whose values to show.
    as_json:
        Rows of {name, type, value, description}.
    """
    config = recipe(name)
    found = [
        each
        for each in settings(config)
        if f"{each.name}.".startswith(f"{prefix}." if prefix else "")
    ]
    if not found:
        raise AuraError(unknown_setting(prefix, as_data(config)))
    rows = [(each.name, each.kind, json.dumps(each.value), each.description) for each in found]
    if as_json:
        keys = ("name", "type", "value", "description")
        values = ((each.name, each.kind, each.value, each.description) for each in found)
        print(json.dumps([dict(zip(keys, each, strict=True)) for each in values], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "type", f"in {name}", "meaning"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)
