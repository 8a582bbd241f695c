"""`aura recipes` and `aura settings`."""

import json

import pytest

from aura_core.config.recipes import RECIPES, recipe
from aura_core.errors import AuraError
from aura_core.stages import plan
from flows.config_cli import recipes, settings_
from flows.request import load_config


@pytest.mark.parametrize("name", RECIPES)
def test_a_printed_recipe_is_a_config_file_of_the_same_run(name, tmp_path, capsys):
    recipes(name)
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    for base in ("demo", name):
        read = load_config(base, str(path), [])
        # Fingerprints are made from this text: 1 and 1.0 differ in it.
        assert read.model_dump_json() == recipe(name).model_dump_json()
    if "qwen" not in name:
        assert plan(load_config("demo", str(path), []), "/r") == plan(recipe(name), "/r")


def test_recipes_are_listed_by_name(capsys):
    recipes()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


def test_settings_of_a_group_have_type_value_and_meaning(capsys):
    settings_("distil.lora", name="smoke", as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert all(row["name"].startswith("distil.lora.") for row in rows)
    assert rows[0] == {
        "name": "distil.lora.rank",
        "type": "int >= 1",
        "value": 128,
        "description": "of the adapted blocks' LoRA",
    }
    settings_("distil.lora.rank", name="smoke")
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["distil.lora.rank", "int"]


def test_an_unknown_group_says_what_was_meant():
    with pytest.raises(AuraError, match=r"no setting distil\.lroa: did you mean distil\.lora\?"):
        settings_("distil.lroa")
