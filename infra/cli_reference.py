"""Write docs/cli.md, what `--help` prints of every command: `make cli-reference`."""

import io
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from flows.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_COLUMNS = 100
_HEAD = """\
# Commands

What `aura COMMAND --help` prints. Made by `make cli-reference`.
"""


def commands(group: App, tokens: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups before what is in them."""
    yield tokens
    for name in group:
        if not name.startswith("-"):
            yield from commands(group[name], (*tokens, name))


def help_of(tokens: tuple[str, ...]) -> str:
    """What `aura TOKENS --help` prints on a terminal of 100 columns."""
    out = io.StringIO()
    app.help_print(list(tokens), console=Console(file=out, width=_COLUMNS, color_system=None))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def page() -> str:
    """The whole page."""
    sections = [
        f"## {' '.join(('aura', *tokens))}\n\n```text\n{help_of(tokens)}\n```\n"
        for tokens in commands(app)
    ]
    return "\n".join([_HEAD, *sections])


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
