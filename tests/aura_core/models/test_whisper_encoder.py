from dataclasses import asdict

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from whisper.audio import log_mel_spectrogram
from whisper.model import ModelDimensions, Whisper
from whisper.normalizers import EnglishTextNormalizer

from aura_core.errors import AuraError
from aura_core.models.whisper_encoder import (
    encoder_states,
    in_precision,
    load_whisper,
    log_mel,
    padded_log_mel,
)

from .conftest import SENTENCE

CPU = torch.device("cpu")

LAYERS = (0, 1, 2, 3, 4)


def test_the_pinned_model_hears_every_word(teacher, speech):
    normalise = EnglishTextNormalizer()
    heard = teacher.transcribe(speech, fp16=False)["text"]
    assert normalise(heard) == normalise(SENTENCE)


def test_log_mel_is_whispers_at_the_clips_own_length(speech):
    mel = log_mel(speech, 80)
    assert mel.shape == (len(speech) // 160, 80)
    torch.testing.assert_close(mel.T, log_mel_spectrogram(speech, 80))
    assert log_mel(speech, 128).shape[1] == 128


def test_a_clip_shorter_than_a_window_still_has_a_log_mel(speech):
    assert log_mel(speech[:10], 80).shape == (2, 80)


def test_states_of_a_full_window_are_the_modules_own(teacher, speech):
    mel = padded_log_mel(speech, 80)
    assert mel.shape == (3000, 80)
    states = dict(encoder_states(teacher, mel[None], torch.tensor([3000]), LAYERS))
    inputs = {}
    hooks = [
        block.register_forward_hook(lambda _m, _i, out, k=k: inputs.__setitem__(k, out))
        for k, block in enumerate(teacher.encoder.blocks, start=1)
    ]
    hooks.append(
        teacher.encoder.blocks[0].register_forward_pre_hook(
            lambda _m, given: inputs.__setitem__(0, given[0])
        )
    )
    with torch.inference_mode():
        expected = teacher.encoder(mel.T[None])
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(states[4], expected, atol=1e-4, rtol=1e-4)
    for layer in (0, 1, 2, 3):
        torch.testing.assert_close(states[layer], inputs[layer], atol=1e-4, rtol=1e-4)


def test_states_do_not_depend_on_the_batch_or_on_what_is_padded(teacher, speech):
    clips = [log_mel(speech[:n], 80) for n in (8_000, 20_161, len(speech))]
    lengths = torch.tensor([len(mel) for mel in clips])
    batch = pad_sequence(clips, batch_first=True, padding_value=9.0)
    together = dict(encoder_states(teacher, batch, lengths, LAYERS))
    for i, mel in enumerate(clips):
        alone = dict(encoder_states(teacher, mel[None], lengths[i : i + 1], LAYERS))
        frames = (len(mel) + 1) // 2
        for layer in LAYERS:
            assert alone[layer].shape == (1, frames, 384)
            torch.testing.assert_close(
                together[layer][i, :frames], alone[layer][0], atol=1e-4, rtol=1e-4
            )


def test_bf16_moves_the_states_little_and_leaves_the_model_as_it_was(teacher, speech):
    mel = log_mel(speech, 80)
    length = torch.tensor([len(mel)])
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    fast = in_precision(teacher, torch.bfloat16)
    assert fast.encoder.conv1.weight.dtype == torch.bfloat16
    exact = dict(encoder_states(teacher, mel[None], length, (1, 4)))
    for layer, states in encoder_states(fast, mel[None], length, (1, 4)):
        assert states.dtype == torch.float32
        assert float(torch.cosine_similarity(states, exact[layer], dim=-1).min()) > 0.999
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert in_precision(teacher, torch.float32) is teacher


def test_only_chosen_layers_are_returned(teacher, speech):
    mel = log_mel(speech, 80)[None]
    lengths = torch.tensor([mel.shape[1]])
    two = dict(encoder_states(teacher, mel, lengths, (2,)))
    assert list(two) == [2]
    torch.testing.assert_close(two[2], dict(encoder_states(teacher, mel, lengths, LAYERS))[2])


def test_a_checkpoint_of_openai_whisper_loads(tmp_path):
    dims = ModelDimensions(80, 1500, 32, 2, 2, 100, 20, 32, 2, 1)
    model = Whisper(dims)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    path = tmp_path / "mine.pt"
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    loaded = load_whisper(str(path), CPU)
    assert loaded.dims == dims
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())


class Exploit:
    def __reduce__(self):
        return exec, ("raise SystemExit('a checkpoint ran code')",)


def test_a_checkpoint_cannot_run_code(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"dims": Exploit()}, path)
    with pytest.raises(AuraError, match=r"evil\.pt' cannot be loaded as a Whisper"):
        load_whisper(str(path), CPU)


@pytest.mark.parametrize("reference", ["pinned:nothing", "no/such/file.pt", "whisper:gigantic"])
def test_what_is_not_there_is_one_line(reference):
    with pytest.raises(AuraError):
        load_whisper(reference, CPU)


def test_the_stem_s_output_is_had_without_running_a_layer(teacher, speech, monkeypatch):
    monkeypatch.setattr("aura_core.models.whisper_encoder._block", pytest.fail)
    mel = log_mel(speech, 80)
    [(layer, states)] = encoder_states(teacher, mel[None], torch.tensor([len(mel)]), (0,))
    assert (layer, states.shape) == (0, (1, (len(mel) + 1) // 2, 384))
