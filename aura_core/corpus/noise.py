"""Clips in which nobody speaks, for the training split of the demo corpus.

An ear that has met nothing but speech hears words in everything.
"""

import numpy as np

from aura_core.corpus.table import SAMPLE_RATE

KINDS = ("white", "pink", "brown", "hum", "clicks", "silence")
MIN_S, MAX_S = 0.5, 3.0
# Of full scale: from a few of the steps of 16 bits to as loud as speech.
_QUIETEST_DB, _LOUDEST_DB = -75.0, -3.0
# How much quieter an octave higher is, as a power of the frequency.
_TILTS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
_LOWEST_HZ = 20.0


def noise(draw: np.random.Generator) -> np.ndarray:
    """Draw a clip of one of `KINDS`: float32 [samples] at 16 kHz, at a level of its own."""
    kind = str(draw.choice(KINDS))
    length = round(float(draw.uniform(MIN_S, MAX_S)) * SAMPLE_RATE)
    level = 10 ** (float(draw.uniform(_QUIETEST_DB, _LOUDEST_DB)) / 20)
    if kind == "silence":
        return np.zeros(length, dtype=np.float32)
    if kind == "hum":
        audio = _hum(length, draw)
    elif kind == "clicks":
        audio = _clicks(length, draw)
    else:
        audio = _tilted(length, _TILTS[kind], draw)
    return np.asarray(audio * (level / np.abs(audio).max()), dtype=np.float32)


def _tilted(length: int, tilt: float, draw: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with the frequency to the power of `tilt`."""
    spectrum = np.fft.rfft(draw.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.maximum(frequency, _LOWEST_HZ) ** tilt, length)


def _hum(length: int, draw: np.random.Generator) -> np.ndarray:
    """The mains and a few of its harmonics, over a little noise."""
    mains = float(draw.choice([50.0, 60.0])) * float(draw.uniform(0.99, 1.01))
    time_s = np.arange(length) / SAMPLE_RATE
    audio = 0.02 * draw.standard_normal(length)
    for harmonic in range(1, 7):
        phase, size = draw.uniform(0, 2 * np.pi), draw.uniform(0, 1) / harmonic
        audio += size * np.sin(2 * np.pi * mains * harmonic * time_s + phase)
    return np.asarray(audio)


def _clicks(length: int, draw: np.random.Generator) -> np.ndarray:
    """Knocks and clicks: short bursts that ring out, over a little noise."""
    audio = 0.005 * draw.standard_normal(length)
    for _ in range(int(draw.integers(1, 12))):
        start = int(draw.integers(length))
        time_s = np.arange(min(length - start, SAMPLE_RATE // 10)) / SAMPLE_RATE
        ringing = np.cos(2 * np.pi * draw.uniform(200, 4000) * time_s)
        burst = ringing * np.exp(-time_s / draw.uniform(0.001, 0.02))
        audio[start : start + len(burst)] += draw.uniform(0.2, 1) * burst
    return np.asarray(audio)
