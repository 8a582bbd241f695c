"""A driver as a subprocess: mistakes in its own words, and Ray only where it is needed."""

import pytest

from aura_core.artifacts import store
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import plan
from tasks.local_driver import run_driver


class NoRay:
    """Takes the place of a LocalRay that must not be started."""

    pids = ()
    closed = 0

    def start(self):
        raise AssertionError("started")

    def close(self):
        self.closed += 1


@pytest.fixture
def specs(tmp_path):
    return plan(recipe("smoke"), str(tmp_path))


def test_a_mistake_comes_back_in_the_drivers_own_words_and_a_report_needs_no_ray(specs):
    spec, local_ray = specs["report"], NoRay()
    store.write_text(spec.spec_uri, spec.model_dump_json())
    with pytest.raises(AuraError, match=r"first$") as caught:
        run_driver(local_ray, spec, None)
    assert "\n" not in str(caught.value)
    assert local_ray.closed == 1, "what has failed may have left workers"


def test_a_ray_that_the_environment_names_takes_its_place(specs, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(AuraError, match="no spec at"):
        run_driver(NoRay(), specs["ingest"], None)
