from collections import Counter

import numpy as np
import pytest

from aura_core.corpus.noise import KINDS, noise


class Draws:
    """A generator that draws a kind of noise, and the rest at random."""

    def __init__(self, kind, seed=0):
        self._kind = kind
        self._draw = np.random.default_rng(seed)

    def choice(self, values):
        return self._kind if tuple(values) == KINDS else self._draw.choice(values)

    def __getattr__(self, name):
        return getattr(self._draw, name)


def tilt_db(audio):
    """By how much 250 to 500 Hz are louder than 4 to 8 kHz, a hertz each."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / 16_000)
    low, high = (power[(hz > a) & (hz < b)].mean() for a, b in ((250, 500), (4000, 8000)))
    return 10 * np.log10(low / high)


def test_it_depends_on_the_draw_alone():
    one, again, other = (noise(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert len(one) != len(other)


def test_lengths_and_levels_are_spread():
    clips = [noise(np.random.default_rng(seed)) for seed in range(300)]
    seconds = [len(clip) / 16_000 for clip in clips]
    assert 0.5 <= min(seconds) < 0.6
    assert 2.9 < max(seconds) <= 3.0
    peaks = [float(np.abs(clip).max()) for clip in clips]
    assert max(peaks) == pytest.approx(10 ** (-3 / 20), rel=0.1)
    # Some are silent, and the quietest of the others hardly more.
    assert 20 < Counter(peaks)[0.0] < 80
    assert 1 < 32767 * min(peak for peak in peaks if peak) < 20


@pytest.mark.parametrize(("kind", "tilt"), [("white", 0), ("pink", 12), ("brown", 24)])
def test_colours_fall_by_so_much_an_octave(kind, tilt):
    # Four octaves lie between the two bands.
    found = [tilt_db(noise(Draws(kind, seed))) for seed in range(8)]
    assert np.mean(found) == pytest.approx(tilt, abs=1.5)


def test_hum_is_periodic_and_clicks_are_short():
    hum, clicks = (noise(Draws(kind)) for kind in ("hum", "clicks"))
    power = np.abs(np.fft.rfft(hum)) ** 2
    hz = np.fft.rfftfreq(len(hum), 1 / 16_000)
    assert power[(hz > 45) & (hz < 400)].sum() > 0.9 * power.sum()
    assert np.mean(np.abs(clicks) < 0.1 * np.abs(clicks).max()) > 0.8
