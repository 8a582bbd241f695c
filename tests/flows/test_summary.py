"""The lines at the end of a run say what was measured, and leave out what was not."""

import pytest

from aura_core.pipeline import plan
from aura_core.recipes import recipe
from flows.summary import summary_lines
from tasks.stages import StageRun


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


def test_a_line_a_stage_and_a_total(specs):
    lines = summary_lines(
        [
            StageRun(specs["ingest"], True, 0.01, None, 1_000_000),
            StageRun(specs["teacher_cache"], False, 12.3, 20.5, 2_500_000),
            StageRun(specs["distil"], False, 100.0, None, 0),
        ]
    )
    assert len(lines) == 4
    hit, local, remote, total = lines
    assert hit.split()[:2] == ["hit", "ingest"]
    assert " s " not in hit
    assert hit.endswith("1.0 MB")
    assert local.split()[:2] == ["done", "teacher_cache"]
    assert "12.3 s" in local
    assert "20.5 CPU s" in local
    assert local.endswith("2.5 MB")
    assert "100.0 s" in remote
    assert "CPU" not in remote, "nobody here knows what a cluster took"
    assert total == "3 stages in 112 s, 1 of them hits"
    assert len({len(line) for line in lines[:3]}) == 1, "one below the other"
