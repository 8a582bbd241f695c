"""The commands in README and docs, against the commands there are."""

import re
import shlex
from pathlib import Path

import pytest

from flows.cli import app
from flows.options import Selection
from flows.request import choose_stages

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# That page is what `--help` prints: tests/flows/test_options.py.
PAGES.remove(ROOT / "docs" / "cli.md")


def lines(page: Path) -> list[str]:
    """The lines of code blocks that call `aura`; one that goes on is joined to the next."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.S | re.M)
    whole = re.sub(r"\s# .*$", "", "\n".join(blocks), flags=re.M).replace("\\\n", " ")
    # Words of such a quotation may go on over several lines.
    found = re.findall(r"^aura (?:'[^']*'|\"[^\"]*\"|[^'\"\n])*$", whole, re.M)
    return [line for line in found if "..." not in line]


EXAMPLES = [(page.name, line) for page in PAGES for line in lines(page)]


@pytest.mark.parametrize(("page", "line"), EXAMPLES)
def test_every_command_of_the_docs_is_understood(page, line):
    words = shlex.split(line.partition(" > ")[0])[1:]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.arguments.get("selection", Selection()).load()
    choose_stages(bound.arguments.get("until"), bound.arguments.get("only"))


def test_there_are_commands_on_the_pages_for_beginners():
    assert {"README.md", "quickstart.md", "recipes.md"} <= {page for page, _ in EXAMPLES}
