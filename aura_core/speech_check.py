"""Whether anybody speaks in a clip: asked before any model is, as models find words in noise too.

A voice is periodic at its pitch, for longer than noise ever is, and louder than what lies between
its syllables. docs/serving.md has what this was measured on. Music is periodic as well, and passes;
whispering is not, and does not.
"""

import numpy as np
from numpy.typing import NDArray

from aura_core.ingest.utterances import SAMPLE_RATE

_WINDOW, _HOP = SAMPLE_RATE * 40 // 1000, SAMPLE_RATE // 100
_FFT = 1024
# Nothing above the band is left, so lags are looked at 4 kHz.
_LAG_RATE, _LAG_FFT = 4000, 256
# Where the first harmonics of a voice lie; hiss is above, rumble below.
_BAND_HZ = (80, 1000)
_PITCH_HZ = (70, 400)
# Of a frame's autocorrelation at the best lag, over that at lag 0.
_PERIODIC = 0.65
_ABOVE_FLOOR_DB = 6.0
# The floor is what the quietest tenth of a clip's frames stays below.
_FLOOR_PERCENT = 10
_LEAST_DB = -70.0  # of full scale
_MIN_VOICED_FRAMES = 6


def has_speech(audio: NDArray[np.float32]) -> bool:
    """Whether a clip, float32 [samples] at 16 kHz, has a voiced stretch of at least 60 ms.

    Meant for clips of up to 30 s: the floor is one for the whole clip.
    """
    padded = np.pad(audio, (0, max(0, _WINDOW - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    low, high = (each * _FFT // SAMPLE_RATE for each in _BAND_HZ)
    power = _power(frames * window)[:, : high + 1]
    power[:, :low] = 0
    # Parseval: half of the spectrum is there, and the window has taken some.
    mean = 2 * power.sum(axis=1) / (_FFT * np.square(window).sum())
    level_db = 10 * np.log10(mean + 1e-12)
    loud = level_db > max(np.percentile(level_db, _FLOOR_PERCENT) + _ABOVE_FLOOR_DB, _LEAST_DB)
    return _longest(loud & (_periodicity(power, window) > _PERIODIC)) >= _MIN_VOICED_FRAMES


def _power(frames: NDArray[np.float32]) -> NDArray[np.floating]:
    """The power spectrum of each frame."""
    spectrum = np.fft.rfft(frames, _FFT)
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _periodicity(power: NDArray[np.floating], window: NDArray[np.float32]) -> NDArray[np.floating]:
    """The highest normalised autocorrelation of each frame at the lags of a voice's pitch."""
    lags = slice(_LAG_RATE // _PITCH_HZ[1], _LAG_RATE // _PITCH_HZ[0])
    # A window's own autocorrelation falls with the lag, and the frame's with it.
    fading = np.fft.irfft(_power(window), _FFT)[:: SAMPLE_RATE // _LAG_RATE]
    correlation = np.fft.irfft(power, _LAG_FFT)
    found = correlation[:, lags] / (correlation[:, :1] + 1e-12) / (fading[lags] / fading[0])
    return np.asarray(found.max(axis=1))


def _longest(flags: NDArray[np.bool_]) -> int:
    """The length of the longest run of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))
