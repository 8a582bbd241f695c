"""Who speaks and what only sounds; docs/serving.md has what was measured on real speech."""

import numpy as np
import pytest

from aura_core.ingest import synthesis
from aura_core.speech_check import has_speech
from tests.voiced import voiced

# Knocks may ring as long as a short vowel.
NEVER_SPEECH = {"white", "pink", "brown", "hum", "silence"}


class OfKind:
    """Draws one kind of noise, all else as its generator does."""

    def __init__(self, kind, seed):
        self._kind = kind
        self._draw = np.random.default_rng(seed)

    def choice(self, options):
        return self._kind if self._kind in options else self._draw.choice(options)

    def __getattr__(self, name):
        return getattr(self._draw, name)


def test_every_kind_of_noise_is_tried():
    assert {*synthesis.KINDS} == NEVER_SPEECH | {"clicks"}


@pytest.mark.parametrize("kind", sorted(NEVER_SPEECH))
def test_nobody_speaks_in_noise_of_any_level(kind):
    assert not any(has_speech(synthesis.noise(OfKind(kind, seed))) for seed in range(30))


def test_long_noise_that_swells_is_no_speech():
    time_s = np.arange(20 * 16000) / 16000
    hiss = np.random.default_rng(0).standard_normal(len(time_s))
    for hertz in (0.5, 3.0, 8.0):
        swelling = 0.2 * hiss * (1 + 0.9 * np.sin(2 * np.pi * hertz * time_s))
        assert not has_speech(swelling.astype(np.float32))


@pytest.mark.parametrize("seconds", [0.3, 1.0, 8.0, 30.0])
def test_a_voice_is_heard_loud_soft_and_in_noise(seconds):
    for seed in range(5):
        audio = voiced(seconds, seed)
        hiss = np.random.default_rng(seed).standard_normal(len(audio)).astype(np.float32)
        at_5_db = audio + hiss * np.sqrt(np.square(audio).mean() / 10**0.5)
        assert has_speech(audio)
        assert has_speech(0.03 * audio)
        assert has_speech(at_5_db.astype(np.float32))


def test_one_word_in_half_a_minute_of_silence_is_enough():
    assert has_speech(np.pad(voiced(0.4), (16000 * 20, 16000 * 9)))


@pytest.mark.parametrize("samples", [0, 1, 639, 641])
def test_clips_shorter_than_a_window_are_no_speech(samples):
    assert not has_speech(np.ones(samples, dtype=np.float32))
