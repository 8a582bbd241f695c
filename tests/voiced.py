"""A sound that is voiced as speech is, for models that are asked only where somebody speaks."""

import numpy as np


def voiced(seconds, seed=0, rate=16000):
    """Syllables of a few harmonics with noise between them: float32 [samples]."""
    draw = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    pitch_hz = draw.uniform(90, 200)
    parts = [draw.uniform(0.2, 1) * np.sin(2 * np.pi * n * pitch_hz * time_s) for n in (1, 2, 3)]
    # Of a fifth of a second, so that the shortest clip has one.
    syllables = np.square(np.sin(2 * np.pi * 2.5 * time_s))
    audio = 0.3 * sum(parts) * syllables + 0.003 * draw.standard_normal(len(time_s))
    return audio.astype(np.float32)
