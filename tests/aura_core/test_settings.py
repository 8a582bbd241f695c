"""The names that `--set` takes, against what `--set` takes."""

import json

import pytest

from aura_core.errors import AuraError
from aura_core.overrides import override
from aura_core.recipes import RECIPES, recipe
from aura_core.settings import as_data, settings, unknown_setting


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_is_described_and_can_be_assigned_by_its_name(name):
    config = recipe(name)
    found = list(settings(config))
    assert [each.name for each in found if not each.description] == []
    for each in found:
        assert override(config, [f"{each.name}={json.dumps(each.value)}"]) == config


def test_settings_that_count_only_where_they_are_no_default_are_there_too():
    changed = override(recipe("smoke"), ["distil.augmentation.vtlp_factor.0=0.9"])
    assert changed.distil.augmentation.vtlp_factor == (0.9, 1.0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("distil.lora.rank", "int >= 1"),
        ("distil.lora.blocks", "int >= 1 or null"),
        ("distil.lora.positions", "audio | all"),
        ("distil.lora.targets", "[str, ...]"),
        ("distil.augmentation.vtlp_factor", "[float >= 0.7 <= 1.4, float >= 0.7 <= 1.4]"),
        ("ingest.heldout_share", "float >= 0 < 1"),
        ("evaluate.audio_llms", "{str: str}"),
    ],
)
def test_a_type_is_told_as_it_is_written(name, kind):
    assert {each.name: each.kind for each in settings(recipe("smoke"))}[name] == kind


@pytest.mark.parametrize(
    ("name", "meant", "listed"),
    [
        ("distil.lora.rnk", ["distil.lora.rank"], "distil.lora has rank, alpha, blocks"),
        ("lora.rnk", ["text_lora.lora.rank", "distil.lora.rank"], "text_lora.lora has rank"),
        ("distill.seed", ["distil.seed"], "distil has runtime, input, llm"),
        ("distil.loss", ["distil.distillation.loss"], "distil.distillation has handover"),
        ("distil.phases.9.steps", ["distil.phases.0.steps"], "distil.phases.0 has name, steps"),
        ("distil.phases.*.x.y", ["distil.phases.1"], "distil.phases has items 0 to 1, and *"),
        ("distil.seed.x", ["distil.seed"], "distil has runtime"),
        ("foo.bar", [], "it begins with one of ingest, teacher_cache, text_lora"),
        ("distil.lora.qwertyuiop", [], "distil.lora has rank"),
        ("evaluate.audio_llms.qwertyuiop.asdfghjkl", [], "audio_llms has no settings below it"),
    ],
)
def test_an_unknown_name_tells_what_was_meant_and_what_there_is(name, meant, listed):
    said = unknown_setting(name, as_data(recipe("smoke")))
    assert said.startswith(f"no setting {name}: ")
    question = said.partition("did you mean ")[2].partition("?")[0]
    assert [each for each in question.split(" or ") if each][: len(meant)] == meant
    assert bool(question) == bool(meant)
    assert listed in said


@pytest.mark.parametrize("assignment", ["distil.lora.rnk=8", "lora.rnk=8", "distill.seed=1"])
def test_set_says_so(assignment):
    with pytest.raises(AuraError, match=r"no setting .*did you mean .*has .*`aura settings"):
        override(recipe("smoke"), [assignment])
