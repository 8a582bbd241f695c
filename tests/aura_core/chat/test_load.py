import json

import pytest

from aura_core.chat.load import load_chat
from aura_core.errors import AuraError


def test_what_hears_nothing_or_is_no_model_is_refused(artifact_of, tmp_path):
    config = json.loads((artifact_of("all") / "train_config.json").read_text())
    changes = {"input": "text", "phases": [{"name": "read", "steps": 1, "distil": 0}]}
    (tmp_path / "train_config.json").write_text(json.dumps(config | changes))
    with pytest.raises(AuraError, match="hears nothing"):
        load_chat(str(tmp_path))
    with pytest.raises(AuraError, match="is no model"):
        load_chat(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["config.json", "train_config.json"])
def test_a_damaged_model_is_named(tmp_path, name):
    (tmp_path / name).write_text("{")
    with pytest.raises(AuraError, match=f"{tmp_path}/{name} is "):
        load_chat(str(tmp_path))
