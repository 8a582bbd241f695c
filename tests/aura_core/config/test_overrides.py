import json

import pytest

from aura_core.config.overrides import (
    as_data,
    by_model,
    merge_file,
    override,
    settings,
    students,
    unknown_setting,
)
from aura_core.config.recipes import RECIPES, recipe
from aura_core.config.run import Config
from aura_core.config.train import Phase
from aura_core.errors import AuraError
from aura_core.stages import plan


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


def with_ablation(**settings):
    return override(recipe("smoke"), [f"ablation.{k}={v}" for k, v in settings.items()])


def test_without_an_ablation_there_is_one_student():
    config = recipe("smoke")
    assert students(config) == {"distil": config.distil}


def test_every_variant_differs_as_it_says_and_is_trained_with_every_seed():
    config = with_ablation(variants="{small: [lora.rank=8]}", seeds="[0, 1]")
    found = students(config)
    assert {name: (each.lora.rank, each.seed) for name, each in found.items()} == {
        "distil": (128, 0),
        "distil.aura.1": (128, 1),
        "distil.small.0": (8, 0),
        "distil.small.1": (8, 1),
    }
    assert found["distil.small.0"].phases == config.distil.phases


def test_the_students_are_grouped_by_model():
    names = ["ingest", "distil", "distil.aura.1", "text_lora", "distil.small.0", "distil.small.1"]
    assert by_model(names) == {
        "aura": ["distil", "distil.aura.1"],
        "small": ["distil.small.0", "distil.small.1"],
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lora.rnak=8", "ablation.variants.odd: .*lora.rnak"),
        ("lora.rank=0", "ablation.variants.odd: .*lora.rank"),
        ("audio_embedding.stem=encoder", "ablation.variants.odd: .*a bridge"),
    ],
)
def test_a_variant_that_cannot_be_is_named(setting, message):
    with pytest.raises(AuraError, match=message):
        students(with_ablation(variants=f"{{odd: [{setting}]}}"))


def test_an_ablation_leaves_the_main_student_and_what_lies_before_it_alone():
    plain, more = (
        plan(config, "/r")
        for config in (recipe("smoke"), with_ablation(variants="{small: [lora.rank=8]}"))
    )
    shared = [name for name in plain if plain[name] == more[name]]
    assert shared == ["ingest", "teacher_cache", "text_lora", "distil"]
    assert list(more) == [*shared, "distil.small.0", "evaluate", "report"]
    assert more["distil.small.0"].stage == "distil"
    assert more["evaluate"].inputs["distil.small.0"] == more["distil.small.0"].uri
