"""Which ends of a stage are worth another try."""

import pytest
from prefect.states import Failed

from aura_core.artifacts import store
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import STAGES, plan
from tasks import stages
from tasks.stage_driver import StageCrashError, StageLostError
from tasks.stages import launcher


def test_an_unreachable_cluster_is_one_line(tmp_path):
    specs = plan(recipe("smoke"), str(tmp_path))
    with (
        pytest.raises(AuraError, match=r"no Ray job server at http://127\.0\.0\.1:9"),
        launcher("http://127.0.0.1:9", list(specs.values())),
    ):
        raise AssertionError
    with pytest.raises(AuraError, match="launch 'nowhere': local, or"), launcher("nowhere", []):
        raise AssertionError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (StageLostError("gone"), True),
        (StageCrashError("a bug"), False),
        (AuraError("mend it"), False),
        (KeyError("x"), False),
    ],
)
def test_only_what_was_lost_is_tried_again(error, again):
    assert stages.is_lost(None, None, Failed(data=error)) is again


def test_every_stage_has_a_task_of_its_name():
    assert [task.name for task in stages.STAGE_TASKS.values()] == list(STAGES)
    assert list(stages.STAGE_TASKS) == list(STAGES)


def test_the_spec_lies_beside_the_artifact_that_its_driver_makes(tmp_path):
    spec = plan(recipe("smoke"), str(tmp_path))["report"]

    def launch(given, _on_progress):
        assert given == spec
        text = store.read_text(f"{spec.root}/report/{spec.fingerprint[:12]}/spec.json")
        assert type(spec).model_validate_json(text) == spec
        raise AuraError("read it")

    with pytest.raises(AuraError, match="read it"):
        stages.make_artifact(spec, launch)
