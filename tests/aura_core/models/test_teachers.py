import json

import pytest
import torch

from aura_core.errors import AuraError
from aura_core.models.teachers import load_teacher, model_type
from aura_core.models.whisper_teacher import WhisperTeacher

CPU = torch.device("cpu")


def test_the_pinned_whisper_is_a_teacher():
    assert isinstance(load_teacher("pinned:whisper-tiny.en", CPU), WhisperTeacher)


def test_a_folder_says_what_it_is(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    assert model_type(str(tmp_path)) == "wav2vec2"
    with pytest.raises(AuraError, match=r"of type 'wav2vec2'; a teacher is one of .*whisper"):
        load_teacher(str(tmp_path), CPU)


@pytest.mark.parametrize("name", ["pinned:whisper-tiny.en", "whisper:large-v3", "mine.pt"])
def test_what_is_no_folder_of_transformers_is_a_whisper(name):
    assert model_type(name) == "whisper"


def test_a_folder_without_a_config_is_named(tmp_path):
    with pytest.raises(AuraError, match=r"no config\.json"):
        load_teacher(str(tmp_path), CPU)
