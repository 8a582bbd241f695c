"""An audit that could ask nobody must not look like one that found nothing."""

import runpy
from pathlib import Path

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[2] / "infra" / "audit.py"))
SOUND = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
HOPELESS = {"name": "d", "version": "2", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}


@pytest.mark.parametrize("packages", [[], [UNKNOWN], [UNKNOWN, UNKNOWN]])
def test_no_answer_is_told_and_fails_nothing(packages):
    lines, exit_code = AUDIT["judge"](packages)
    assert (len(lines), exit_code) == (1, 0)
    assert "not done" in lines[0]


def test_vulnerable_packages_are_named_and_fail():
    lines, exit_code = AUDIT["judge"]([SOUND, BAD, UNKNOWN, HOPELESS])
    assert exit_code == 1
    assert lines == [
        "c 2: PYSEC-1, fixed in 3",
        "d 2: PYSEC-2, fixed in no release yet",
        "audit: 2 of 3 packages with a known vulnerability, 1 unknown to the database",
    ]


def test_sound_ones_pass():
    assert AUDIT["judge"]([SOUND]) == (
        ["audit: 0 of 1 packages with a known vulnerability, 0 unknown to the database"], 0
    )  # fmt: skip
