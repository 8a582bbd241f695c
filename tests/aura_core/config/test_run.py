import pytest

from aura_core.config.overrides import override
from aura_core.config.recipes import RECIPES, recipe
from aura_core.config.run import Config
from aura_core.config.stage import StageConfig
from aura_core.config.train import Phase, TrainConfig
from aura_core.errors import AuraError
from aura_core.stages import plan


@pytest.fixture
def config() -> Config:
    return recipe("smoke")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_complete_and_say_what_they_are(name):
    assert isinstance(recipe(name), Config)
    assert RECIPES[name].__doc__


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


@pytest.mark.parametrize(
    ("assignments", "reason"),
    [
        (["attention=chunked"], "chunked and chunk_positions go together"),
        (["chunk_positions=12"], "chunked and chunk_positions go together"),
        (["layer_map={}"], "layer_map is empty"),
        (["layer_map=nearest"], "most_similar"),
        (["layer_map={2: 1}"], r"ends at block 2, but lora\.blocks is 4"),
        (["layer_weights={4: 1}"], "give layer_map as"),
        (["layer_map={2: 1, 4: 4}", "layer_weights={4: 1}"], "each block of layer_map a weight"),
        (["loss=kl"], "smooth_l1"),
        (["loss=cka", "head_bias=false"], "cka has no heads"),
        (["layer_map={0: 0, 4: 4}"], r"asks for layer 0.*set teacher_cache\.layers"),
    ],
)
def test_a_distillation_that_contradicts_itself_is_refused(config, assignments, reason):
    with pytest.raises(AuraError, match=reason):
        override(config, [f"distil.distillation.{assignment}" for assignment in assignments])


def test_a_map_needs_layers_that_are_cached(config):
    wanted = ["teacher_cache.layers=[2, 4]", "distil.distillation.layer_map={2: 1, 4: 4}"]
    with pytest.raises(AuraError, match=r"teacher_cache\.layers keeps \[2, 4\]"):
        override(config, wanted)


@pytest.mark.parametrize("part", ["distil", "ctc", "moments"])
def test_a_text_student_has_nothing_to_align(config, part):
    with pytest.raises(AuraError, match="no audio positions to align"):
        override(config, [f"text_lora.phases.0.{part}=0.5"])


def test_a_weight_of_distillation_may_fall_over_its_phase():
    phase = Phase(name="learn", steps=5, distil=1, distil_end=0)
    assert [phase.distil_weight(step) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    assert Phase(name="learn", steps=5, distil=0.3).distil_weight(4) == 0.3
    with pytest.raises(ValueError, match="without a distil to start from"):
        Phase(name="learn", steps=5, distil=0, distil_end=1)


def test_a_bridge_has_no_log_mel_to_floor(config):
    bridge = {"stem": "encoder", "log_mel_floor": "fixed"}
    changed = {**config.distil.model_dump(), "audio_embedding": bridge}
    with pytest.raises(ValueError, match="log_mel_floor"):
        TrainConfig.model_validate(changed)


def test_one_to_one_ends_at_the_last_adapted_block(config):
    wanted = ["teacher_cache.layers=[0, 2]", "distil.distillation.layer_map=one_to_one"]
    with pytest.raises(AuraError, match=r"up to teacher layer 2 .*lora\.blocks is 4"):
        override(config, wanted)
    override(config, [*wanted, "distil.lora.blocks=2"])


@pytest.mark.parametrize(
    ("assignments", "reason"),
    [
        (["distil.phases.1.text_every=2"], r"lora\.positions=audio no LoRA is on"),
        (["distil.phases.0.text_every=2"], "has only answers to learn from"),
        (["distil.phases.1.text_every=1"], "greater than or equal to 2"),
        (["distil.phases.1.text_every=3"], "never reached in 2 steps"),
    ],
)
def test_text_batches_without_effect_are_refused(config, assignments, reason):
    with pytest.raises(AuraError, match=reason):
        override(config, assignments)


def test_the_ordinary_instructions_are_part_of_the_identity_of_who_learns_from_them(monkeypatch):
    def pinned():
        specs = plan(recipe("demo"), "/nowhere")
        return {name: spec.identity["pinned"] for name, spec in specs.items()}

    before = pinned()
    monkeypatch.setattr("aura_core.stages.ordinary_instructions_text", lambda: "- Hello?")
    after = pinned()
    assert {name for name in before if before[name] != after[name]} == {"text_lora"}


def test_every_so_many_steps_are_of_text_alone():
    phase = Phase(name="learn", steps=7, text_every=3)
    assert [step for step in range(7) if phase.is_text_step(step)] == [2, 5]
    assert not any(Phase(name="learn", steps=7).is_text_step(step) for step in range(7))
