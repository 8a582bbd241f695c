import pytest
import torch

from aura_core.config.run import TeacherCacheConfig
from aura_core.errors import AuraError
from aura_core.ingest.utterances import decode_audio, encode_audio
from aura_core.models.whisper_encoder import log_mel, padded_log_mel
from aura_core.teacher_cache.encode import batches, encode, prepare

FP32 = {"precision": "fp32", "dtype": "float32", "rate_hz": 50}


def restored(codec, sample, layer):
    return codec.decode(sample.tensors, layer, sample.entry.num_frames)


def by_id(samples):
    return {sample.entry.id: sample for sample in samples}


def test_samples_hold_the_teachers_states_of_their_own_length(encode_clips, teacher, rows):
    codec, samples = encode_clips(rows, **FP32)
    samples = by_id(samples)
    assert samples.keys() == {row["id"] for row in rows}
    for row in rows:
        sample = samples[row["id"]]
        mel = log_mel(decode_audio(row["audio"]["bytes"]), 80)
        alone = dict(teacher.states(mel[None], torch.tensor([len(mel)]), (1, 4)))
        assert sample.entry.num_mel_frames == len(mel)
        assert sample.entry.num_frames == (len(mel) + 1) // 2
        assert sample.tensors["log_mel"].dtype == torch.float16
        torch.testing.assert_close(sample.tensors["log_mel"].float(), mel, atol=1e-3, rtol=0)
        for layer in (1, 4):
            exact = codec.layers[layer].standardise(alone[layer][0])
            torch.testing.assert_close(restored(codec, sample, layer), exact, atol=1e-4, rtol=1e-4)


def test_a_clip_does_not_depend_on_its_batch(encode_clips, teacher, rows):
    codec, together = encode_clips(rows, **FP32)
    together = by_id(together)
    for row in rows:
        (alone,) = encode(teacher, codec, [row], TeacherCacheConfig(**FP32))
        for name, tensor in alone.tensors.items():
            torch.testing.assert_close(
                tensor, together[row["id"]].tensors[name], atol=1e-4, rtol=1e-4
            )


def test_clips_come_by_length_in_batches_without_much_padding(teacher, rows):
    many = [{**row, "id": f"{row['id']}-{i}"} for i in range(20) for row in rows]
    made = list(batches(teacher, many, TeacherCacheConfig()))
    lengths = [len(clip.heard) for clips in made for clip in clips]
    assert lengths == sorted(lengths)
    assert len(lengths) == len(many)
    assert all(len(clips) * len(clips[-1].heard) <= 6000 for clips in made)
    padded = sum(len(clips) * len(clips[-1].heard) for clips in made)
    assert sum(lengths) / padded > 0.9


@pytest.mark.parametrize(("padding", "silence_s"), [("0.5s", 0.5), ("30s", 30)])
def test_silence_is_heard_and_not_stored(encode_clips, teacher, rows, padding, silence_s):
    codec, (sample,) = encode_clips(rows[:1], padding=padding, **FP32)
    audio = decode_audio(rows[0]["audio"]["bytes"])
    mel = padded_log_mel(audio, 80, silence_s)
    assert len(mel) == min(3000, (len(audio) + 16_000 * silence_s) // 160)
    with torch.inference_mode():
        full = dict(teacher.states(mel[None], torch.tensor([len(mel)]), (4,)))[4][0]
    exact = codec.layers[4].standardise(full[: sample.entry.num_frames])
    torch.testing.assert_close(restored(codec, sample, 4), exact, atol=1e-4, rtol=1e-4)
    assert sample.tensors["log_mel"].shape == (len(audio) // 160, 80)


def test_only_chosen_layers_are_kept(encode_clips, rows):
    _, (sample,) = encode_clips(rows[:1], layers=(4, 2), dtype="float16")
    assert list(sample.tensors) == ["log_mel", "layer_02", "layer_04"]


def test_int8_states_carry_their_steps(encode_clips, rows):
    _, (sample,) = encode_clips(rows[:1], layers=(4,), dtype="int8", rate_hz=50)
    assert list(sample.tensors) == ["log_mel", "layer_04", "layer_04.scale"]
    assert sample.tensors["layer_04"].dtype == torch.int8
    assert sample.tensors["layer_04.scale"].shape == (sample.entry.num_frames, 1)


@pytest.mark.parametrize(
    "settings", [{"dtype": "int8"}, {"projection_rank": 64, "dtype": "float16"}]
)
def test_the_storage_error_is_that_of_what_comes_back(encode_clips, teacher, rows, settings):
    codec, samples = encode_clips(rows, precision="fp32", rate_hz=50, **settings)
    for sample in samples:
        row = next(row for row in rows if row["id"] == sample.entry.id)
        clip = prepare(row, teacher, TeacherCacheConfig())
        length = torch.tensor([len(clip.heard)])
        states = dict(teacher.states(clip.heard[None], length, (4,)))[4][0]
        exact = codec.layers[4].standardise(states)
        found = restored(codec, sample, 4)
        cosines = torch.cosine_similarity(found, exact, dim=-1)
        assert sample.errors[4].positions == len(exact)
        assert sample.errors[4].cosine_sum == pytest.approx(float(cosines.sum()), rel=1e-4)
        assert sample.errors[4].max_abs == pytest.approx(
            float((found - exact).abs().max()), rel=1e-2
        )


@pytest.mark.parametrize("layers", [(-1,), (5,), ()])
def test_a_layer_the_teacher_lacks_is_refused(encode_clips, rows, layers):
    with pytest.raises(AuraError, match="has layers 1 to 4"):
        encode_clips(rows[:1], layers=layers)


def test_states_that_are_not_finite_are_refused_by_name(encode_clips, teacher, rows, monkeypatch):
    codec, _ = encode_clips(rows[:1])
    monkeypatch.setattr(teacher.model.encoder.ln_post, "forward", lambda x: x * float("nan"))
    with pytest.raises(AuraError, match=r"utterance clip-0: .* not finite"):
        list(encode(teacher, codec, rows[:1], TeacherCacheConfig()))


def test_a_clip_longer_than_the_window_is_refused_by_name(encode_clips, rows):
    audio = decode_audio(rows[0]["audio"]["bytes"])
    flac, _ = encode_audio(audio.repeat(1 + 16_000 * 31 // len(audio)))
    with pytest.raises(AuraError, match=r"utterance clip-0: .* longer than the teacher's 30 s"):
        encode_clips([{**rows[0], "audio": {"bytes": flac}}])


def test_what_the_first_layer_is_given_is_kept_if_it_is_named(encode_clips, teacher, rows):
    codec, [sample] = encode_clips(rows[:1], layers=(4, 0), **FP32)
    assert set(sample.tensors) == {"log_mel", "layer_00", "layer_04"}
    mel = log_mel(decode_audio(rows[0]["audio"]["bytes"]), 80)
    [(_, states)] = teacher.states(mel[None], torch.tensor([len(mel)]), (0,))
    exact = codec.layers[0].standardise(states[0])
    torch.testing.assert_close(restored(codec, sample, 0), exact, atol=1e-4, rtol=1e-4)
    assert set(encode_clips(rows[:1])[0].layers) == {1, 2, 3, 4}
