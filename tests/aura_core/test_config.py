import pytest

from aura_core.config import Config, Phase, StageConfig, TrainConfig
from aura_core.errors import AuraError
from aura_core.overrides import override
from aura_core.recipes import RECIPES, recipe


@pytest.fixture
def config() -> Config:
    return recipe("smoke")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_complete_and_say_what_they_are(name):
    assert isinstance(recipe(name), Config)
    assert RECIPES[name].__doc__


def test_unknown_recipe_names_the_known_ones():
    with pytest.raises(AuraError, match=r"no recipe 'dmeo': choose one of .*demo"):
        recipe("dmeo")


def test_runtime_is_no_part_of_the_identity():
    assert StageConfig.model_validate({"runtime": {"workers": 9}}).identity() == {}


def test_a_phase_needs_a_loss():
    with pytest.raises(ValueError, match="has no loss"):
        Phase(name="idle", steps=1, ce=0, distil=0)


def test_a_student_starts_from_the_text_lora_s_own_llm(config):
    with pytest.raises(AuraError, match=r"distil\.llm and text_lora\.llm differ"):
        override(config, ["distil.llm=hf:some/model"])


def test_augmentation_is_off_until_it_is_set(config):
    off = config.distil.augmentation
    assert (off.noise_probability, off.gain_db, off.time_masks, off.freq_masks) == (0, (0, 0), 0, 0)
    changed = override(
        config,
        ["distil.augmentation.noise_probability=0.5", "distil.augmentation.gain_db=[-10, 5]"],
    )
    assert changed.distil.augmentation.gain_db == (-10, 5)


def test_configs_are_frozen_and_closed(config):
    with pytest.raises(ValueError, match="frozen"):
        config.distil.seed = 3
    with pytest.raises(ValueError, match="Extra inputs"):
        TrainConfig(input="audio", phases=(), extra=1)
