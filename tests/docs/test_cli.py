"""The page of commands against the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import cli_reference

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_help_prints_of_every_command():
    assert cli_reference.PAGE.read_text() == cli_reference.page(), "run `make cli-reference`"


@pytest.mark.parametrize("tokens", [("run",), ("cache", "verify")])
def test_it_is_what_a_user_sees(tokens):
    printed = subprocess.run(
        [sys.executable, "-m", "flows.main", *tokens, "--help"],
        capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    lines = [line.rstrip() for line in printed.stdout.rstrip().splitlines()]
    assert "\n".join(lines) == cli_reference.help_of(tokens)
    assert f"## aura {' '.join(tokens)}\n" in cli_reference.page()
