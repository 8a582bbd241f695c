"""A driver as a subprocess: mistakes, crashes, and nothing left behind."""

import pytest

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.pipeline import plan
from aura_core.recipes import recipe
from tasks import launch
from tasks.launch import StageCrashError


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


def test_a_mistake_comes_back_in_the_drivers_own_words(specs):
    spec = specs["report"]
    with pytest.raises(AuraError, match=r"first$") as caught:
        launch.launch(spec, "local")
    assert "\n" not in str(caught.value)
    # The spec lies beside the artifact that it makes.
    text = store.read_text(f"{spec.root}/report/{spec.fingerprint[:12]}/spec.json")
    assert type(spec).model_validate_json(text) == spec


def test_a_crash_is_told_from_a_mistake(specs):
    launch.raise_for_exit(specs["distil"], 0, None)
    with pytest.raises(AuraError, match="mend this"):
        launch.raise_for_exit(specs["distil"], 2, "mend this")
    for exit_code, line in [(1, "mend this"), (-9, None), (2, None)]:
        with pytest.raises(StageCrashError, match="crashed"):
            launch.raise_for_exit(specs["distil"], exit_code, line)


def test_an_unreachable_cluster_is_one_line(specs):
    with pytest.raises(AuraError, match=r"no Ray job server at http://127\.0\.0\.1:9"):
        launch.launch(specs["ingest"], "http://127.0.0.1:9")
