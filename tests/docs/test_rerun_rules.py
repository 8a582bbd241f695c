"""The page's table of what runs again, against the plans."""

import re
from pathlib import Path

import pytest

from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.stages import plan

PAGE = (Path(__file__).parents[2] / "docs" / "rerun-rules.md").read_text()
ROWS = re.findall(r"^\| `([\w.]+=[^`]+)` \| (.+) \|$", PAGE, re.M)


@pytest.mark.parametrize(("change", "again"), ROWS)
def test_a_change_runs_again_what_the_page_says(change, again):
    before = plan(recipe("demo"), "root")
    after = plan(override(recipe("demo"), [change]), "root")
    known = {spec.fingerprint for spec in before.values()}
    changed = [name for name, spec in after.items() if spec.fingerprint not in known]
    assert changed == re.findall(r"`([\w.]+)`", again)


def test_the_table_was_found():
    assert len(ROWS) == 9
