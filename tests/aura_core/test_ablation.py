import pytest

from aura_core.ablation import by_model, students
from aura_core.errors import AuraError
from aura_core.overrides import override
from aura_core.pipeline import plan
from aura_core.recipes import recipe


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
