"""How `--help` looks: commands in groups, one example beside each, options without noise."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cyclopts import App, Group, Parameter
from cyclopts.help import ColumnSpec, DefaultFormatter, DescriptionRenderer
from rich.console import Group as Lines
from rich.text import Text

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
