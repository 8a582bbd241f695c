"""The annotated tree of docs/architecture.md against the real one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PATH = re.compile(r"(?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|md|sh|yaml|yml)\b)")


def tree_lines() -> list[tuple[str, str]]:
    """(top folder, line) of the annotated tree."""
    blocks = re.findall(
        r"^```\n(.*?)^```", (ROOT / "docs" / "architecture.md").read_text(), re.S | re.M
    )
    [block] = [block for block in blocks if "\naura_core/" in block]
    lines, top = [], ""
    for line in block.splitlines():
        if line[0] != " ":
            top = line.split()[0]
        lines.append((top, line))
    return lines


LINES = tree_lines()
# Below aura_core/, a line starts with what it is about; a folder of docs/ goes on over lines.
ENTRIES = {top + line.split()[0] if line[0] == " " else top for top, line in LINES}


IGNORED = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}


@pytest.mark.parametrize(("top", "line"), LINES)
def test_every_path_that_a_line_names_is_there(top, line):
    entry = line.split()[0] if line[0] == " " and line.split()[0].endswith("/") else ""
    places = [ROOT, ROOT / top, ROOT / top / entry]
    names = _PATH.findall(line)
    missing = [name for name in names if not any((place / name).exists() for place in places)]
    assert missing == []


def test_every_folder_of_code_is_named():
    tops = {path.parent for path in ROOT.glob("*/*") if not path.parent.name.startswith(".")}
    tops = {f"{top.name}/" for top in tops if top.name not in IGNORED and top.suffix == ""}
    code = [path for top in ("flows", "tasks", "aura_core") for path in ROOT.glob(f"{top}/*/*.py")]
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in code}
    assert tops | packages <= ENTRIES


def test_every_page_of_the_docs_is_named():
    named = " ".join(line for top, line in LINES if top == "docs/")
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if page not in named] == []
