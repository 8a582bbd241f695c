import pytest

from aura_core.config import Config
from aura_core.errors import AuraError
from aura_core.overrides import merge_file, override
from aura_core.recipes import recipe
from aura_core.train_config import Phase


@pytest.fixture
def config() -> Config:
    return recipe("smoke")


def test_override_reaches_nested_fields_and_list_items(config):
    changed = override(
        config, ["distil.lora.rank=7", "distil.phases.0.steps=9", "ingest.manifest=/a b.jsonl"]
    )
    assert changed.distil.lora.rank == 7
    assert changed.distil.phases[0].steps == 9
    assert changed.distil.phases[1:] == config.distil.phases[1:]
    assert changed.ingest.manifest == "/a b.jsonl"
    assert config.distil.lora.rank != 7


def test_override_replaces_whole_lists_and_mappings(config):
    changed = override(
        config,
        [
            "distil.phases=[{name: only, steps: 3, ce: 0, ctc: 1}]",
            "distil.distillation.layer_map={2: 1, 4: 4}",
            "evaluate.models=[text]",
        ],
    )
    assert changed.distil.phases == (Phase(name="only", steps=3, ce=0, ctc=1),)
    assert changed.distil.distillation.layer_map == {2: 1, 4: 4}
    assert changed.evaluate.models == ("text",)


def test_a_star_reaches_every_item_of_a_list(config):
    changed = override(config, ["distil.phases.*.distil=0.5"])
    assert [phase.distil for phase in changed.distil.phases] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("distil.lora.rank", "expected stage.key=value"),
        ("distil.lora.rnak.x=3", "no setting distil.lora.rnak"),
        ("distil.lora.rnak=3", "no setting distil.lora.rnak: did you mean distil.lora.rank"),
        ("distil.phases.9.steps=3", "no setting distil.phases.9"),
        ("distil.phases.*.x.y=3", r"no setting distil.phases.\*.x"),
        ("distil.*.rank=3", r"no setting distil.\*"),
        ("benchmarks.nope=embedded", "^config: benchmarks.nope: there is no such benchmark"),
        ("distil.audio_embedding.stem=encoder", "a bridge is given the encoder's states"),
        ("ablation.variants={aura: []}", "'aura': choose another name"),
        ("ablation.variants={A b: []}", "ablation.variants.A b.*: String should match"),
        ("distil.phases.1.kl=1", "set targets.top_k"),
        ("distil.targets.self_generated=1", "set targets.self_generated"),
        ("text_lora.phases.0.kl=1", "text_lora makes the targets"),
        ("distil.targets={transcript: 0, response: 0}", "give one kind of answer a weight"),
        ("ablation.seeds=[1, 2]", "leave out distil.seed 0"),
        ("ablation.seeds=[0, 0]", "name each once"),
        ("distil.lora.rank=0", "distil.lora.rank: .*greater than or equal to 1"),
        ("distil.lora.rank=many", "distil.lora.rank: .*valid integer"),
        ("text_lora.lora.positions=audio", "text_lora: .*no audio positions"),
        ("distil.augmentation.speed=1.1", "augmentation: .*speed.*against the cached teacher"),
        ("distil.augmentation.tempo=[0.9, 1.1]", "tempo.*add the changed audio to the manifest"),
        ("distil.augmentation.pitch=2", "pitch.*needs the waveform"),
        ("distil.augmentation.noise_probability=1.5", "less than or equal to 1"),
        ("distil.augmentation.noise_snr_db=[20, 5]", r"a range is \[low, high\], not \[20, 5\]"),
        ("distil.augmentation.noise_snr_db=[5, 200]", "noise_snr_db.1: .*or equal to 60"),
        ("distil.augmentation.noise_snr_db=[.nan, 5]", "noise_snr_db.0: "),
        ("distil.augmentation.noise_snr_db=5", "noise_snr_db: .*valid tuple"),
        ("distil.augmentation.gain_db=[1, -1]", r"gain_db: .*\[low, high\]"),
        ("distil.augmentation.time_masks=-1", "time_masks: .*or equal to 0"),
        ("distil.augmentation.max_freq_mask_bins=80", "max_freq_mask_bins: .*less than 80"),
        ("text_lora.augmentation.time_masks=1", "text_lora: .*a text student hears none"),
        ("distil.precision=fp8", "distil.precision: .*'bf16'"),
        ("distil.seed.x=1", "no setting distil.seed.x"),
        ("distil.seed=[1", "--set distil.seed=\\[1: .*YAML"),
    ],
)
def test_bad_override_is_a_one_line_error(config, assignment, message):
    with pytest.raises(AuraError, match=message) as raised:
        override(config, [assignment])
    assert "\n" not in str(raised.value)


def test_merge_file_lays_nested_settings_over(config):
    merged = merge_file(config, "distil: {lora: {rank: 5}}\nevaluate: {max_items: 3}\n")
    assert merged.distil.lora.rank == 5
    assert merged.distil.lora.blocks == config.distil.lora.blocks
    assert merged.evaluate.max_items == 3
    assert merge_file(config, "") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "mapping of stages"),
        ("distil: {lora: {rnak: 5}}", "did you mean distil.lora.rank"),
        ("distill: {seed: 5}", "no setting distill: did you mean distil"),
        ("distil: {phases: [{nam: x}]}", "no setting distil.phases.0.nam"),
        ("distil: [", "neither YAML nor JSON"),
        ("3", "mapping of stages"),
    ],
)
def test_bad_file_is_a_one_line_error(config, text, message):
    with pytest.raises(AuraError, match=message) as raised:
        merge_file(config, text)
    assert "\n" not in str(raised.value)
