import pytest
import torch

from aura_core.cache.encode import encode
from aura_core.config import TeacherCacheConfig
from aura_core.corpus.table import decode_audio, encode_audio
from aura_core.errors import AuraError
from aura_core.models.whisper_encoder import encoder_states, log_mel, padded_log_mel


def test_samples_hold_the_teachers_states_of_their_own_length(teacher, rows):
    samples = list(encode(teacher, rows, TeacherCacheConfig()))
    assert [sample.entry.id for sample in samples] == [row["id"] for row in rows]
    for row, sample in zip(rows, samples, strict=True):
        mel = log_mel(decode_audio(row["audio"]["bytes"]), 80)
        alone = encoder_states(teacher, mel[None], torch.tensor([len(mel)]), (1, 4))
        assert sample.entry.num_mel_frames == len(mel)
        assert sample.entry.num_frames == (len(mel) + 1) // 2
        assert sample.tensors["log_mel"].dtype == torch.float16
        torch.testing.assert_close(sample.tensors["log_mel"].float(), mel, atol=1e-3, rtol=0)
        for layer in (1, 4):
            torch.testing.assert_close(sample.exact[layer], alone[layer][0], atol=1e-4, rtol=1e-4)
            assert sample.stored(layer).dtype == torch.float16
            assert torch.equal(sample.stored(layer), sample.exact[layer].half())


def test_padding_30s_gives_the_padded_states_cut_to_the_clip(teacher, rows):
    (sample,) = encode(teacher, rows[:1], TeacherCacheConfig(padding="30s", dtype="float32"))
    audio = decode_audio(rows[0]["audio"]["bytes"])
    with torch.inference_mode():
        full = teacher.encoder(padded_log_mel(audio, 80).T[None])[0]
    torch.testing.assert_close(
        sample.stored(4), full[: sample.entry.num_frames], atol=1e-4, rtol=1e-4
    )
    assert sample.tensors["log_mel"].shape == (len(audio) // 160, 80)


def test_only_chosen_layers_are_kept(teacher, rows):
    (sample,) = encode(teacher, rows[:1], TeacherCacheConfig(layers=(4, 2)))
    assert list(sample.tensors) == ["log_mel", "layer_02", "layer_04"]


@pytest.mark.parametrize("layers", [(0,), (5,), ()])
def test_a_layer_the_teacher_lacks_is_refused(teacher, rows, layers):
    with pytest.raises(AuraError, match="has layers 1 to 4"):
        list(encode(teacher, rows[:1], TeacherCacheConfig(layers=layers)))


def test_states_beyond_float16_are_refused_by_name(teacher, rows, monkeypatch):
    monkeypatch.setattr(teacher.encoder.ln_post, "forward", lambda x: x * 1e6)
    with pytest.raises(AuraError, match=r"utterance clip-0: .*dtype=float32"):
        list(encode(teacher, rows[:1], TeacherCacheConfig()))


def test_a_clip_longer_than_the_window_is_refused_by_name(teacher, rows):
    audio = decode_audio(rows[0]["audio"]["bytes"])
    flac, _ = encode_audio(audio.repeat(1 + 16_000 * 31 // len(audio)))
    with pytest.raises(AuraError, match=r"utterance clip-0: .* longer than the teacher's 30 s"):
        list(encode(teacher, [{**rows[0], "audio": {"bytes": flac}}], TeacherCacheConfig()))
