"""What the end of a driver means, and which Ray it attaches to."""

from importlib.util import find_spec

import pytest

from aura_core.errors import AuraError
from aura_core.pipeline import STAGE_INPUTS, plan
from aura_core.recipes import recipe
from tasks.stage_driver import (
    JOBS,
    StageCrashError,
    StageLostError,
    cluster_address,
    raise_for_exit,
)


def test_every_stage_has_a_driver():
    assert set(JOBS) == set(STAGE_INPUTS)
    assert all(find_spec(f"tasks.jobs.{job.module}") for job in JOBS.values())


def test_a_crash_is_told_from_a_mistake(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["distil"]
    raise_for_exit(spec, 0, None)
    with pytest.raises(AuraError, match="mend this"):
        raise_for_exit(spec, 2, "mend this")
    for exit_code, line in [(1, "mend this"), (2, None)]:
        with pytest.raises(StageCrashError, match="error of its code") as raised:
            raise_for_exit(spec, exit_code, line)
        assert not isinstance(raised.value, StageLostError)
    for exit_code in (75, -9, 137, 143):
        with pytest.raises(StageLostError, match="running again goes on"):
            raise_for_exit(spec, exit_code, None)


@pytest.mark.parametrize(
    ("value", "address"), [("", None), ("http://head:8265", None), ("head:6379", "head:6379")]
)
def test_a_dashboard_is_nothing_to_attach_to(monkeypatch, value, address):
    monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == address
