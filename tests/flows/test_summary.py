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
            StageRun(specs["ingest"], True, 0.01, None, 0, 1_000_000),
            StageRun(specs["teacher_cache"], False, 12.3, 20.5, 1_000_000, 2_500_000),
            StageRun(on_gpus(specs["distil"]), False, 100.0, None, 3_500_000, 0),
        ]
    )
    assert len(lines) == 4
    hit, local, remote, total = lines
    assert hit.split()[:2] == ["hit", "ingest"]
    assert " s " not in hit
    assert hit.endswith("1.0 MB there")
    assert local.split()[:2] == ["done", "teacher_cache"]
    assert "12.3 s" in local
    assert "20.5 CPU s" in local
    assert "GPU" not in local
    assert "1.0 MB read" in local
    assert local.endswith("2.5 MB written")
    assert "100.0 s" in remote
    assert "200.0 GPU s" in remote
    assert "CPU" not in remote, "nobody here knows what a cluster took"
    assert total == "3 stages in 112 s, 1 of them hits"
    assert len({line.rindex(" MB ") for line in lines[:3]}) == 1, "one below the other"


def on_gpus(spec):
    runtime = spec.runtime.model_copy(update={"workers": 4, "gpus_per_worker": 0.5})
    return spec.model_copy(update={"runtime": runtime})
