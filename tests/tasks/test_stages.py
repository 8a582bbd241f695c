"""Which ends of a stage are worth another try."""

import pytest
from prefect.states import Failed

from aura_core.errors import AuraError
from aura_core.pipeline import STAGE_INPUTS
from tasks import stages
from tasks.stage_driver import StageCrashError


@pytest.mark.parametrize(
    ("error", "again"),
    [(StageCrashError("gone"), True), (AuraError("mend it"), False), (KeyError("x"), False)],
)
def test_only_crashes_are_tried_again(error, again):
    assert stages.is_crash(None, None, Failed(data=error)) is again


def test_every_stage_has_a_task_of_its_name():
    assert [task.name for task in stages.STAGE_TASKS.values()] == list(STAGE_INPUTS)
    assert list(stages.STAGE_TASKS) == list(STAGE_INPUTS)
