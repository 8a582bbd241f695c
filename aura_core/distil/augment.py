"""Augmentation of the student's log-mel in training: clean teacher, noisy student.

A log-mel is Whisper's, float [frames_100hz, n_mels], (log10 power + 4) / 4. Nothing here
moves time: the cached teacher states of the clean audio stay the targets, frame by frame.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
import xxhash
from torch import Tensor
from transformers.audio_utils import hertz_to_mel, mel_filter_bank, mel_to_hertz

from aura_core.config.augmentation import AugmentationConfig
from aura_core.ingest.utterances import SAMPLE_RATE

# Whisper's STFT, in samples; training never imports whisper itself.
_N_FFT, _HOP = 400, 160
# Whisper keeps eight decades of power below a clip's loudest bin, and none below 1e-10.
_DYNAMIC_RANGE = 8.0
_LOWEST = (-10.0 + 4.0) / 4.0
# From brown noise to white; the spectrum is flat below the corner.
_TILT_DB_PER_OCTAVE = (-6.0, 0.0)
_TILT_CORNER_HZ = 100.0
# Formants lie below it; above it the warp bends so that Nyquist stays where it is.
_VTLP_KNEE_HZ = 4800.0
# SpecAugment's p, of its policies SM and SS: with p = 1 a mask could swallow a short command.
_MAX_TIME_MASK_SHARE = 0.2


def augment(
    log_mel: Tensor, config: AugmentationConfig, *, seed: int, step: int, key: str
) -> Tensor:
    """Apply another vocal tract, noise, gain and masks, as drawn for this clip in this step.

    The draws depend on seed, step and key alone: not on the batch, its order, or who loads it.

    Args:
        log_mel: float [frames_100hz, n_mels].
        config: what is drawn, from which ranges.
        seed: the run's seed.
        step: number of the training step, counted over all phases.
        key: the utterance's key in the cache.

    Returns:
        A log-mel of the same shape and dtype; the very same tensor if all is off.
    """
    if config == AugmentationConfig():
        return log_mel
    digest = xxhash.xxh3_64_intdigest(f"{seed}/{step}/{key}".encode())
    draw = np.random.Generator(np.random.PCG64(digest))
    # In float64 the order of sums, which depends on threads, is lost in the final rounding.
    mel = log_mel.double()
    # Drawn only if it is on, so that what came before it is drawn as it was.
    if config.vtlp_factor != (1.0, 1.0):
        mel = perturb_vocal_tract(mel, draw.uniform(*config.vtlp_factor))
    if draw.random() < config.noise_probability:
        snr_db, tilt = draw.uniform(*config.noise_snr_db), draw.uniform(*_TILT_DB_PER_OCTAVE)
        mel = add_noise(mel, snr_db, draw, tilt_db_per_octave=tilt)
    mel = apply_gain(mel, draw.uniform(*config.gain_db))
    return spec_augment(mel, config, draw).to(log_mel.dtype)


def perturb_vocal_tract(log_mel: Tensor, factor: float) -> Tensor:
    """Return a clip as of a speaker with another vocal tract (VTLP).

    Jaitly and Hinton 2013, "Vocal Tract Length Perturbation improves speech recognition", eq. 1:
    frequencies below a knee are multiplied, those above go linearly to Nyquist. They move the
    mel filters; here the bins are interpolated, in the log domain. Harmonics move with the
    formants, so that the pitch changes as well.

    Args:
        log_mel: float [frames_100hz, n_mels].
        factor: on the formants' frequencies; above 1 for a shorter vocal tract.

    Returns:
        A log-mel of the same shape and dtype.
    """
    place = _vtlp_source_bins(factor, log_mel.shape[1])
    below = place.floor().long()
    above = (below + 1).clamp(max=log_mel.shape[1] - 1)
    return torch.lerp(log_mel[:, below], log_mel[:, above], (place - below).to(log_mel.dtype))


def add_noise(
    log_mel: Tensor, snr_db: float, draw: np.random.Generator, *, tilt_db_per_octave: float = 0.0
) -> Tensor:
    """Add stationary Gaussian noise to a clip in the mel power domain.

    The noise itself is exact: a drawn waveform that goes through Whisper's STFT and mel
    filters, so its spread and the likeness of neighbouring frames and bins are real.
    Approximate is the sum: powers are added, E|S + N|^2 = |S|^2 + |N|^2, and the cross term of
    speech and noise is ignored. Where both are about as loud a real log-mel varies more; its
    mean lies some 0.3 dB lower. The clip's power is read off its mel bands.

    Args:
        log_mel: float [frames_100hz, n_mels].
        snr_db: mean power of the whole clip, pauses included, over that of the noise.
        draw: source of the noise.
        tilt_db_per_octave: 0 is white noise, -3 pink, -6 brown; flat below 100 Hz.

    Returns:
        A log-mel of the same shape and dtype, floored eight decades below its loudest bin.
    """
    filters, widths_hz = _mel_filters(log_mel.shape[1])
    clean = 10 ** (4 * log_mel.double() - 4)
    noise = _noise_periodogram(len(log_mel), tilt_db_per_octave, draw)
    # Bands times widths, and bins of a one-sided spectrum, add up to the same unit of power.
    clean_power, noise_power = (clean @ widths_hz).mean(), (noise @ _one_sided()).mean()
    scale = clean_power / noise_power / 10 ** (snr_db / 10)
    log_power = (clean + scale * (noise @ filters)).log10()
    floored = log_power.clamp(min=log_power.max() - _DYNAMIC_RANGE)
    return ((floored + 4) / 4).to(log_mel.dtype)


def apply_gain(log_mel: Tensor, gain_db: float) -> Tensor:
    """Return the log-mel of the same audio at another level.

    A factor of 10 ** (gain_db / 20) on the waveform adds gain_db / 10 to log10 power, and a
    quarter of that to the log-mel. The clip's maximum moves with it, and so does the floor
    eight decades below; only Whisper's absolute floor, power 1e-10, stays where it is.

    Args:
        log_mel: float [frames_100hz, n_mels].
        gain_db: level change; the waveform is not clipped.

    Returns:
        A log-mel of the same shape and dtype.
    """
    return (log_mel + gain_db / 40).clamp(min=_LOWEST)


def spec_augment(log_mel: Tensor, config: AugmentationConfig, draw: np.random.Generator) -> Tensor:
    """Mask spans of frames and of mel bins (Park et al. 2019, arXiv 1904.08779, without warping).

    A mask's length is uniform from 0 to its maximum, its place uniform where it fits. A time
    mask is never longer than a fifth of the clip, the paper's p = 0.2.

    Args:
        log_mel: float [frames_100hz, n_mels].
        config: numbers of masks and their maxima.
        draw: source of lengths and places.

    Returns:
        A masked copy of the same shape and dtype.
    """
    masked = log_mel.clone()
    # The clip's mean is what the paper masks with: its features have mean zero, its masks are 0.
    mean = log_mel.double().mean()
    frames, n_mels = log_mel.shape
    longest = min(config.max_time_mask_frames, int(_MAX_TIME_MASK_SHARE * frames))
    for span in _spans(config.time_masks, longest, frames, draw):
        masked[span] = mean
    for span in _spans(config.freq_masks, config.max_freq_mask_bins, n_mels, draw):
        masked[:, span] = mean
    return masked


def _spans(count: int, longest: int, total: int, draw: np.random.Generator) -> Iterator[slice]:
    for _ in range(count):
        length = int(draw.integers(min(longest, total), endpoint=True))
        start = int(draw.integers(total - length, endpoint=True))
        yield slice(start, start + length)


def _vtlp_source_bins(factor: float, n_mels: int) -> Tensor:
    """The place, in mel bins, that each bin of a warped log-mel is read at, float64 [n_mels]."""
    nyquist = SAMPLE_RATE / 2
    knee = _VTLP_KNEE_HZ * min(factor, 1.0)
    # Filter centres are evenly spaced in mel, with an edge at 0 and one at Nyquist.
    step = hertz_to_mel(nyquist, mel_scale="slaney") / (n_mels + 1)
    centres = mel_to_hertz(step * np.arange(1, n_mels + 1), mel_scale="slaney")
    sources = np.interp(centres, [0.0, knee, nyquist], [0.0, knee / factor, nyquist])
    bins = hertz_to_mel(sources, mel_scale="slaney") / step - 1
    return torch.as_tensor(bins).clamp(0, n_mels - 1)


def _noise_periodogram(frames: int, tilt_db_per_octave: float, draw: np.random.Generator) -> Tensor:
    """|STFT|^2 of Gaussian noise of some colour, float64 [frames, n_fft / 2 + 1]."""
    samples = torch.from_numpy(draw.standard_normal((frames - 1) * _HOP + _N_FFT))
    windows = samples.unfold(0, _N_FFT, _HOP) * torch.hann_window(_N_FFT, dtype=torch.float64)
    frequencies = torch.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE, dtype=torch.float64)
    octaves = (frequencies / _TILT_CORNER_HZ).clamp(min=1).log2()
    colour = 10 ** (tilt_db_per_octave * octaves / 10)
    periodogram: Tensor = torch.fft.rfft(windows).abs() ** 2 * colour
    return periodogram


def _one_sided() -> Tensor:
    """Weights of the bins of a real signal's spectrum: its two ends have no mirror image."""
    weights = torch.ones(_N_FFT // 2 + 1, dtype=torch.float64)
    weights[[0, -1]] = 0.5
    return weights


@lru_cache
def _mel_filters(n_mels: int) -> tuple[Tensor, Tensor]:
    """Whisper's filters, float64 [n_fft / 2 + 1, n_mels], and their widths in Hz [n_mels].

    They are Slaney's triangles, divided by their widths; undivided, neighbours sum up to one,
    so that bands times widths add up to the power of the spectrum.
    """
    triangles, filters = (
        torch.from_numpy(
            mel_filter_bank(
                num_frequency_bins=_N_FFT // 2 + 1,
                num_mel_filters=n_mels,
                min_frequency=0.0,
                max_frequency=SAMPLE_RATE / 2,
                sampling_rate=SAMPLE_RATE,
                norm=norm,
                mel_scale="slaney",
            )
        )
        for norm in (None, "slaney")
    )
    return filters, triangles.sum(dim=0) / filters.sum(dim=0)
