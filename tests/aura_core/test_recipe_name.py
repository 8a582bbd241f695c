import pytest

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.overrides import override
from aura_core.pipeline import plan
from aura_core.recipe_name import recipe_name
from aura_core.recipes import RECIPES, recipe


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The name of a run with a config, of which there are manifests alone."""
    # Models that are not here, and speech of one's own.
    monkeypatch.setattr("aura_core.pipeline.pinned_content", lambda _: {})

    def name(config):
        specs = plan(config, str(tmp_path))
        for spec in specs.values():
            made = Manifest(
                stage=spec.stage, stage_version=1, fingerprint=spec.fingerprint,
                identity=spec.identity, inputs=spec.inputs, files=[],
            )  # fmt: skip
            write_manifest(spec.uri, made)
        return recipe_name({name: spec.uri for name, spec in specs.items()})

    return name


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_again_by_what_it_made(named, name):
    assert named(recipe(name)) == name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["distil.seed=3"], "demo with distil.seed=3"),
        (["ingest.manifest=/home/me/calls.jsonl"], "demo with ingest.manifest=calls.jsonl"),
        (["benchmarks.spoken_facts=embedded"], "demo with benchmark.spoken_facts=yes"),
        (["distil.lora.rank=3", "distil.lora.alpha=3", "distil.seed=3", "evaluate.seed=3"],
         "demo with 4 settings changed"),
        (["distil.runtime.workers=3", "report.samples=3"], "demo"),
    ],
)  # fmt: skip
def test_what_differs_is_named_or_counted(named, changes, told):
    assert named(override(recipe("demo"), changes)) == told
