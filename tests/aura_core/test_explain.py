import pytest

from aura_core.config.overrides import override
from aura_core.config.recipes import RECIPES, recipe
from aura_core.explain import Difference, explain, explain_stage, first_difference, recipe_name
from aura_core.stages import StageSpec, plan
from tests.finished import finish


def specs(root, *assignments: str) -> dict[str, StageSpec]:
    return plan(override(recipe("smoke"), assignments), str(root))


def test_nothing_there_is_a_miss_without_a_neighbour(tmp_path):
    for status in explain(specs(tmp_path)):
        assert (status.kept, status.nearest_fingerprint, status.difference) == (False, None, None)


def test_finished_stages_are_hits(tmp_path):
    wanted = specs(tmp_path)
    finish(wanted["ingest"])
    assert [status.spec.stage for status in explain(wanted) if status.kept] == ["ingest"]


@pytest.mark.parametrize(
    ("assignment", "difference"),
    [
        ("distil.lora.rank=3", Difference("lora.rank", 128, 3)),
        ("distil.phases.0.steps=7", Difference("phases.0.steps", 2, 7)),
        ("distil.distillation.layer_map={4: 4}", Difference("distillation.layer_map", None, "x")),
    ],
)
def test_a_miss_names_the_first_field_that_differs(tmp_path, assignment, difference):
    finish(specs(tmp_path)["distil"])
    status = explain_stage(specs(tmp_path, assignment)["distil"])
    assert not status.kept
    assert status.difference is not None
    assert status.difference.field.startswith(difference.field)
    if difference.wanted != "x":
        assert status.difference == difference


def test_the_nearest_artifact_has_the_most_equal_fields(tmp_path):
    far = specs(tmp_path, "distil.lora.rank=3", "distil.seed=3", "distil.lora.alpha=3")["distil"]
    near = specs(tmp_path, "distil.seed=4")["distil"]
    finish(near)
    finish(far, created_at="2027-01-01")
    status = explain_stage(specs(tmp_path)["distil"])
    assert status.nearest_fingerprint == near.fingerprint
    assert status.difference == Difference("seed", 4, 0)


def test_of_equally_near_ones_the_newest_counts(tmp_path):
    old, new = (specs(tmp_path, f"distil.seed={seed}")["distil"] for seed in (3, 4))
    finish(old, created_at="2026-01-01")
    finish(new, created_at="2026-01-02")
    assert explain_stage(specs(tmp_path)["distil"]).nearest_fingerprint == new.fingerprint


def test_a_changed_input_is_named_last(tmp_path):
    finish(specs(tmp_path)["distil"])
    upstream_only = explain_stage(specs(tmp_path, "teacher_cache.layers=[4]")["distil"])
    assert upstream_only.difference is not None
    assert upstream_only.difference.field == "inputs.teacher_cache"
    both = explain_stage(specs(tmp_path, "teacher_cache.layers=[4]", "distil.seed=9")["distil"])
    assert both.difference == Difference("seed", 0, 9)


def test_a_field_that_only_the_artifact_has_is_a_difference():
    assert first_difference({"a": 1, "b": 2}, {"a": 1}) == Difference("b", 2, "(absent)")
    assert first_difference({"a": 1}, {"a": 1}) is None


def test_values_that_are_hashed_differently_differ():
    assert first_difference({"a": 32.0}, {"a": 32}) == Difference("a", 32.0, 32)
    assert first_difference({"a": True}, {"a": 1}) is not None


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The name of a run with a config, of which there are manifests alone."""
    # Models that are not here, and speech of one's own.
    monkeypatch.setattr("aura_core.stages.pinned_content", lambda _: {})

    def name(config):
        specs = plan(config, str(tmp_path))
        for spec in specs.values():
            finish(spec)
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
