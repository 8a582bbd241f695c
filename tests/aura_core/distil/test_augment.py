import numpy as np
import pytest
import soxr
import torch
from piper import PiperVoice, SynthesisConfig
from whisper.audio import mel_filters

from aura_core.config.augmentation import AugmentationConfig
from aura_core.distil.augment import (
    _mel_filters,
    add_noise,
    apply_gain,
    augment,
    perturb_vocal_tract,
    spec_augment,
)
from aura_core.models.pinned import locate
from aura_core.models.whisper_encoder import log_mel

EVERYTHING = AugmentationConfig(
    vtlp_factor=(0.9, 1.1),
    noise_probability=1,
    gain_db=(-10, 10),
    time_masks=2,
    freq_masks=2,
    noise_snr_db=(0, 20),
)
SAME = {"seed": 1, "step": 2, "key": "utt-3"}
# A step of 1 in a log-mel, in dB.
DB = 40


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    voice = PiperVoice.load(locate("joe-medium"))
    # Without noise piper says the same every time.
    same = SynthesisConfig(noise_scale=0, noise_w_scale=0)
    chunks = list(voice.synthesize("Turn on the lamp, and call Anna.", same))
    audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
    return soxr.resample(audio, chunks[0].sample_rate, 16_000).astype(np.float32)


@pytest.fixture(scope="module")
def stored_mel(speech) -> torch.Tensor:
    return log_mel(speech, 80).half()


def coloured_noise(samples: int, tilt_db_per_octave: float) -> np.ndarray:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / 16_000) / 100, 1))
    return np.fft.irfft(spectrum * 10 ** (tilt_db_per_octave * octaves / 20), samples)


def in_waveform(speech, snr_db, tilt) -> np.ndarray:
    noise = coloured_noise(len(speech), tilt)
    scale = np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (speech + scale * noise).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_the_filters_are_whispers(n_mels):
    filters, widths_hz = _mel_filters(n_mels)
    torch.testing.assert_close(filters.T.float(), mel_filters("cpu", n_mels), atol=1e-8, rtol=1e-5)
    # Between the outermost centres the bands hold all of the power.
    assert torch.allclose((filters @ widths_hz)[1:193], torch.ones(192, dtype=torch.float64))


@pytest.mark.parametrize("tilt", [0, -6])
@pytest.mark.parametrize("snr_db", [0, 10, 20])
@pytest.mark.parametrize("n_mels", [80, 128])
def test_noise_is_that_of_the_waveform_at_the_same_snr(speech, n_mels, snr_db, tilt):
    clean = log_mel(speech, n_mels)
    wanted = log_mel(in_waveform(speech, snr_db, tilt), n_mels)
    noisy = add_noise(clean, snr_db, np.random.default_rng(1), tilt_db_per_octave=tilt)
    assert abs((noisy - wanted).mean()) * DB < 0.6
    # Where it is nearly all noise, its level and its spread show.
    loud = (noisy + wanted) / 2 - clean > 10 / DB
    assert abs((noisy - wanted)[loud].mean()) * DB < 0.3
    assert noisy[loud].std() == pytest.approx(float(wanted[loud].std()), rel=0.1)


def test_a_high_snr_leaves_what_is_loud(stored_mel):
    noisy = add_noise(stored_mel, 60, np.random.default_rng(0))
    loud = stored_mel > stored_mel.float().quantile(0.9)
    assert (noisy - stored_mel)[loud].abs().max() * DB < 0.1


def test_noise_keeps_whispers_dynamic_range_and_finds_silence_silent(stored_mel):
    noisy = add_noise(stored_mel.float(), 60, np.random.default_rng(0), tilt_db_per_octave=-6)
    assert noisy.max() - noisy.min() <= 2 + 1e-6
    silence = torch.full((50, 80), -1.5)
    assert (add_noise(silence, 0, np.random.default_rng(0)) + 1.5).abs().max() * DB < 20


@pytest.mark.parametrize("gain_db", [-20, 6])
def test_gain_is_the_log_mel_of_scaled_audio(speech, gain_db):
    louder = log_mel((speech * 10 ** (gain_db / 20)).astype(np.float32), 80)
    torch.testing.assert_close(apply_gain(log_mel(speech, 80), gain_db), louder, atol=1e-3, rtol=0)


def test_gain_stops_at_whispers_absolute_floor():
    assert apply_gain(torch.full((3, 80), -1.4), -20).eq(-1.5).all()


def test_masks_are_one_span_each_of_at_most_their_size(stored_mel):
    frames = len(stored_mel)
    sizes = set()
    for seed in range(100):
        config = AugmentationConfig(
            time_masks=1, max_time_mask_frames=7, freq_masks=1, max_freq_mask_bins=5
        )
        masked = spec_augment(stored_mel, config, np.random.default_rng(seed))
        fill = stored_mel.double().mean().half()
        rows = (masked == fill).all(dim=1).nonzero().flatten()
        bins = (masked == fill).all(dim=0).nonzero().flatten()
        sizes.add((len(rows), len(bins)))
        for span in (rows, bins):
            assert len(span) == 0 or len(span) == span[-1] - span[0] + 1
        kept = torch.ones(frames, 80, dtype=torch.bool)
        kept[rows] = kept[:, bins] = False
        assert masked[kept].equal(stored_mel[kept])
    assert {size for size, _ in sizes} == set(range(8))
    assert {size for _, size in sizes} == set(range(6))


def test_a_time_mask_is_never_more_than_a_fifth_of_the_clip(stored_mel):
    config = AugmentationConfig(time_masks=1, max_time_mask_frames=1000)
    clip = stored_mel[:50]
    sizes = [
        int((spec_augment(clip, config, np.random.default_rng(n)) != clip).any(dim=1).sum())
        for n in range(100)
    ]
    assert max(sizes) == 10


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize(
    ("hz", "factor", "moved_hz"),
    [
        (1000, 1.1, 1100),
        (3000, 0.9, 2700),
        # Above the knee what is left to Nyquist shrinks, here from 4000 Hz to 3200.
        (6400, 1.2, 8000 - 1600 * (8000 - 4800) / (8000 - 4000)),
    ],
)
def test_a_tone_moves_by_the_factor_of_the_vocal_tract(n_mels, hz, factor, moved_hz):
    def tone(frequency):
        samples = np.sin(2 * np.pi * frequency * np.arange(16_000) / 16_000)
        return log_mel(samples.astype(np.float32), n_mels)[10:-10].mean(dim=0)

    moved = perturb_vocal_tract(tone(hz)[None], factor)[0]
    assert abs(int(moved.argmax()) - int(tone(moved_hz).argmax())) <= 1


def test_another_vocal_tract_has_the_spectrum_of_audio_played_faster(speech, stored_mel):
    # Played 1.1 times as fast, all its frequencies are 1.1 times as high.
    faster = log_mel(soxr.resample(speech, 1.1, 1.0).astype(np.float32), 80).mean(dim=0)
    below_the_knee = slice(0, 60)
    moved = perturb_vocal_tract(stored_mel.float(), 1.1).mean(dim=0)
    apart = (moved - faster)[below_the_knee].abs().mean()
    untouched = (stored_mel.float().mean(dim=0) - faster)[below_the_knee].abs().mean()
    assert apart < 0.5 * untouched


def test_the_same_vocal_tract_leaves_a_clip_as_it_is(stored_mel):
    mel = stored_mel.double()
    torch.testing.assert_close(perturb_vocal_tract(mel, 1.0), mel, atol=1e-9, rtol=0)


def test_all_off_is_the_very_same_tensor(stored_mel):
    assert augment(stored_mel, AugmentationConfig(), **SAME) is stored_mel


def test_what_is_not_drawn_changes_no_bit(stored_mel):
    config = AugmentationConfig(noise_snr_db=(0, 1), max_time_mask_frames=9)
    assert augment(stored_mel, config, **SAME).equal(stored_mel)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_shape_and_dtype_are_kept_and_the_input_is_not_touched(stored_mel, dtype):
    before = stored_mel.to(dtype)
    clip = before.clone()
    changed = augment(clip, EVERYTHING, **SAME)
    assert (changed.shape, changed.dtype) == (clip.shape, dtype)
    assert changed.isfinite().all()
    assert clip.equal(before)
    assert not changed.equal(before)


def test_seed_step_and_key_alone_decide_what_is_drawn(stored_mel):
    first = augment(stored_mel, EVERYTHING, **SAME)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        assert augment(stored_mel, EVERYTHING, **SAME).equal(first)
    finally:
        torch.set_num_threads(threads)
    for other in ({"seed": 2}, {"step": 3}, {"key": "utt-4"}):
        assert not augment(stored_mel, EVERYTHING, **(SAME | other)).equal(first)


def test_a_share_of_the_clips_gets_noise(stored_mel):
    config = AugmentationConfig(noise_probability=0.25)
    clip = stored_mel[:20]
    changed = [
        not augment(clip, config, seed=0, step=step, key="a").equal(clip) for step in range(200)
    ]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.08)
