"""The stage `benchmark` on real Ray."""

import logging
from pathlib import Path

import pytest
import ray

from aura_core.benchmarks.item import read_items
from aura_core.benchmarks.preparation import Card
from aura_core.config.overrides import override
from aura_core.config.recipes import recipe
from aura_core.errors import AuraError
from aura_core.stages import plan
from tasks.jobs import benchmark, driver


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level=logging.WARNING)
    yield
    ray.shutdown()


def test_an_embedded_benchmark_is_spoken(tmp_path):
    config = override(recipe("smoke"), ["benchmarks.spoken_instructions=embedded"])
    spec = plan(config, str(tmp_path))["benchmark.spoken_instructions"]
    files, counts, _ = benchmark.run(spec)
    items = read_items(spec.uri)
    assert len(items) == counts["items"] == 24
    assert all(item.duration_s > 1 for item in items)
    assert {path.relative_to(spec.uri).as_posix() for path in files_of(spec.uri)} == set(files)
    card = Card.model_validate_json((Path(spec.uri) / "card.json").read_text())
    assert card.scorer == "instructions"


def test_a_folder_in_another_layout_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "readme.txt").write_text("nothing")
    settings = [f"benchmarks.voicebench_mmsu={tmp_path}/set"]
    spec = plan(override(recipe("smoke"), settings), str(tmp_path))["benchmark.voicebench_mmsu"]
    with pytest.raises(ray.exceptions.RayTaskError) as failure:
        benchmark.run(spec)
    assert isinstance(driver.user_error(failure.value), AuraError)


def files_of(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]
