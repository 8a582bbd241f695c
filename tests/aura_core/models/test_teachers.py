import json

import pytest
import torch

from aura_core.errors import AuraError
from aura_core.models.teachers import WhisperTeacher, load_teacher, model_type
from aura_core.models.whisper_encoder import encoder_states, log_mel
from aura_core.student.audio_embedding import ConvStem


def test_it_is_the_encoder_of_its_whisper(teacher, speech):
    wrapped = WhisperTeacher(teacher)
    assert (wrapped.num_mels, wrapped.num_layers, wrapped.width) == (80, 4, 384)
    assert wrapped.max_mel_frames == 3000
    mel = log_mel(speech, wrapped.num_mels)[None]
    length = torch.tensor([mel.shape[1]])
    found = dict(wrapped.states(mel, length, (2, 4)))
    expected = dict(encoder_states(teacher, mel, length, (2, 4)))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[layer], expected[layer]) for layer in found)


def test_a_students_stem_can_start_from_its(teacher):
    wrapped = WhisperTeacher(teacher)
    stem = ConvStem(wrapped.num_mels, wrapped.width, wrapped.max_mel_frames // 2)
    stem.load_state_dict(wrapped.stem_tensors())
    assert torch.equal(stem.conv1.weight, teacher.encoder.conv1.weight)


def test_another_precision_leaves_it_as_it_was(teacher):
    wrapped = WhisperTeacher(teacher)
    fast = wrapped.in_precision(torch.bfloat16)
    assert fast.model.encoder.conv1.weight.dtype == torch.bfloat16
    assert wrapped.model.encoder.conv1.weight.dtype == torch.float32
    assert wrapped.in_precision(torch.float32).model is teacher


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
