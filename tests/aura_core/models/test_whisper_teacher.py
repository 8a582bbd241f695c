import torch

from aura_core.models.whisper_encoder import encoder_states, log_mel
from aura_core.models.whisper_teacher import WhisperTeacher
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
