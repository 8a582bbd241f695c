import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.audio_cuts import cut_at_silences

RATE = 1000


def noise(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_short_audio_is_one_piece_and_none_is_none():
    assert cut_at_silences(noise(30), RATE) == [(0, 30 * RATE)]
    assert cut_at_silences(noise(0), RATE) == []


def test_the_cut_falls_into_the_silence():
    audio = noise(50)
    audio[21 * RATE : 22 * RATE] = 0
    (_, stop), (start, end) = cut_at_silences(audio, RATE)
    assert stop == start
    assert 21 * RATE < stop < 22 * RATE
    assert end == len(audio)


def test_of_equal_silences_the_later_is_cut_and_a_dip_inside_a_word_is_none():
    audio = noise(40)
    for second in (10, 25):
        audio[second * RATE : (second + 1) * RATE] = 0
    audio[28 * RATE : 28 * RATE + 20] = 0
    (_, stop), _ = cut_at_silences(audio, RATE)
    assert 25 * RATE < stop < 26 * RATE


@given(st.integers(0, 200_000), st.integers(0, 5), st.booleans())
def test_pieces_are_all_of_it_and_none_too_long(samples, seed, silent):
    audio = noise(samples / RATE, seed) * (not silent)
    pieces = cut_at_silences(audio, RATE)
    assert [each for each, _ in pieces] == [0, *(stop for _, stop in pieces)][: len(pieces)]
    assert (pieces[-1][1] if pieces else 0) == len(audio)
    assert all(0 < stop - start <= 30 * RATE for start, stop in pieces)
    assert all(stop - start >= 5 * RATE for start, stop in pieces[:-1])


def test_limits_that_leave_nowhere_to_cut_are_refused():
    with pytest.raises(ValueError, match="nowhere to cut"):
        cut_at_silences(noise(1), RATE, max_s=5, min_s=5)
