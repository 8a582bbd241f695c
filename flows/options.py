"""The options that say which run, how `--help` looks, and what <TAB> offers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import App, Group, Parameter, validators
from cyclopts.help import ColumnSpec, DefaultFormatter, DescriptionRenderer
from rich.console import Group as Lines
from rich.text import Text

from aura_core.artifacts.store import require_reachable
from aura_core.config.benchmarks import BENCHMARKS, EMBEDDED
from aura_core.config.overrides import Setting, settings
from aura_core.config.recipes import RECIPES, recipe, summary
from aura_core.config.run import Config
from aura_core.stages import STAGES, StageSpec, plan
from flows.request import all_overrides, load_config, resolve_root

# What a shell offers when <TAB> is pressed: names of settings, stages, recipes, benchmarks.
#
# Installed by `aura --install-completion`; the shell then asks `aura` itself.

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

DEFAULT_RECIPE = "demo"


def recipe_names(_context: "CompletionContext") -> Mapping[str, str]:
    """Recipes and what they are."""
    return {name: summary(name) for name in RECIPES}


def stage_names(_context: "CompletionContext") -> Mapping[str, str]:
    """Stages and what they read."""
    return {
        name: f"reads {', '.join(stage.inputs)}" if stage.inputs else "reads no other stage"
        for name, stage in STAGES.items()
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


def setting_assignments(context: "CompletionContext") -> Mapping[str, str]:
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


# How `--help` looks: commands in groups, one example beside each, options without noise.

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry
    from rich.console import RenderableType


def _shown_default(value: Any) -> str | None:
    """A default as it is typed; None for what is off or not given."""
    if value in (None, False, (), ""):
        return None
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# For every option of every command: no --no-FLAG, and no "[default: False]".
OPTION = Parameter(negative=(), show_default=_shown_default)


def command_groups(commands: Callable[[], App], *titles: str) -> list[Group]:
    """Return groups of commands in this order, in which each command shows its first example.

    Args:
        commands: returns the app that the commands are of, when help is asked for.
        titles: of the groups.
    """
    name = ColumnSpec(
        renderer=lambda entry: " ".join(entry.all_options), style="cyclopts.name", min_width=11
    )
    formatter = DefaultFormatter(column_specs=(name, ColumnSpec(renderer=_described(commands))))
    return [Group(title, sort_key=i, help_formatter=formatter) for i, title in enumerate(titles)]


def sub_app(name: str, text: str) -> App:
    """Return the app of a group of commands, each shown with its first example."""
    made = App(name=name, help=text, help_format="plaintext", default_parameter=OPTION)
    [made.group_commands] = command_groups(lambda: made, "Commands")
    return made


def examples(command: App) -> list[str]:
    """Return the lines of a command's help that show how it is called."""
    lines = map(str.strip, command.help.splitlines())
    return [line for line in lines if line.startswith("aura ")]


def _described(commands: Callable[[], App]) -> "Callable[[HelpEntry], RenderableType]":
    describe = DescriptionRenderer()

    def render(entry: "HelpEntry") -> "RenderableType":
        shown = examples(commands()[entry.all_options[0]])[:1]
        return Lines(describe(entry), *(Text(each, style="dim") for each in shown))

    return render


Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
AsJson = Annotated[bool, Parameter("--json")]
T = TypeVar("T")
# `--seconds 1 5` as well as `--seconds 1 --seconds 5`.
Several = Annotated[tuple[T, ...], Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Selection:
    """Which run: a recipe, your changes to it, and where its artifacts live."""

    recipe: Annotated[str, Parameter(completer=recipe_names)] = DEFAULT_RECIPE
    "The settings to start from: `aura recipes` lists them."
    config: str | None = None
    "A YAML or JSON file laid over the recipe: `distil: {lora: {rank: 32}}`."
    manifest: str | None = None
    "Your speech: a .jsonl or .parquet file, or a folder of audio (docs/corpora.md)."
    pseudo_label: bool = False
    "Let the ASR write the transcripts that the manifest lacks."
    benchmarks: Annotated[
        tuple[str, ...], Parameter(name="--benchmark", completer=benchmark_sources)
    ] = ()
    "Evaluate on NAME=FOLDER too, or a NAME made here, repeatedly: `aura bench-data list`."
    assignments: Annotated[
        tuple[str, ...], Parameter(name="--set", completer=setting_assignments)
    ] = ()
    "`stage.key=value`, any number of times: `aura settings` lists them."
    root: str | None = None
    "Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]"

    @property
    def overrides(self) -> list[str]:
        """All changes to the recipe as assignments; `--set` wins."""
        return all_overrides(self.manifest, self.pseudo_label, self.benchmarks, self.assignments)

    def load(self) -> Config:
        """Return the config: the recipe with all changes to it."""
        return load_config(self.recipe, self.config, self.overrides)

    @property
    def arguments(self) -> list[str]:
        """The same selection as arguments of a command."""
        named = {"--recipe": self.recipe, "--config": self.config, "--manifest": self.manifest}
        repeated = {"--benchmark": self.benchmarks, "--set": self.assignments}
        return [
            *(part for name, value in named.items() if value for part in (name, value)),
            *(["--pseudo-label"] if self.pseudo_label else []),
            *(
                part
                for name, values in repeated.items()
                for each in values
                for part in (name, each)
            ),
            *(["--root", self.root] if self.root else []),
        ]

    @property
    def flow_parameters(self) -> dict[str, Any]:
        """The same selection as the flow's parameters."""
        return {
            "recipe": self.recipe,
            "root": resolve_root(self.root),
            "config_file": self.config,
            "manifest": self.manifest,
            "pseudo_label": self.pseudo_label,
            "benchmarks": self.benchmarks,
            "overrides": self.assignments,
        }

    def plan(self) -> dict[str, StageSpec]:
        """Return every stage's spec. Raises AuraError if the root is out of reach."""
        root = resolve_root(self.root)
        require_reachable(root)
        return plan(self.load(), root)
