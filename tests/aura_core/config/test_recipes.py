import pytest

from aura_core.config.overrides import students
from aura_core.config.recipes import RECIPES, recipe
from aura_core.config.run import Config
from aura_core.errors import AuraError
from aura_core.stages import plan


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_config_without_contradictions(name):
    config = recipe(name)
    assert Config.model_validate(config.model_dump()) == config
    assert students(config)["distil"] == config.distil
    assert RECIPES[name].__doc__


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(AuraError, match=r"did you mean demo\? \(choose one of demo, demo-long"):
        recipe("dmeo")


def test_the_ablation_trains_nine_students():
    assert len(students(recipe("ablation"))) == 9


@pytest.mark.parametrize("name", ["whisper-small-qwen", "whisper-large-qwen7b"])
def test_a_recipe_for_ones_own_speech_asks_for_it(name):
    with pytest.raises(AuraError, match=r"brings none: name it by --manifest"):
        plan(recipe(name), "/r")


def test_the_student_like_vora_s_can_be_merged_and_maps_every_layer_it_has():
    config = recipe("vora-like")
    student = config.distil
    assert config.ingest == recipe("demo").ingest
    assert config.teacher_cache.layers == tuple(range(student.lora.blocks + 1))
    assert (student.lora.positions, student.lora.rank) == ("all", student.lora.alpha)
