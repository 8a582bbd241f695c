import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aura_core.models.whisper_encoder import log_mel
from aura_core.student.streaming import StreamingLogMel

NOISE = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
# Loud and quiet in turns, so that the floor under the whole clip lies above what is quiet.
CLIP = NOISE * np.where(np.arange(20_000) // 3000 % 2, 1e-4, 0.8).astype(np.float32)


def streamed(clip, cuts, n_mels):
    stream = StreamingLogMel(n_mels)
    frames = [stream.push(piece) for piece in np.split(clip, cuts)]
    return torch.cat([*frames, stream.finish()])


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 6000),
    cuts=st.lists(st.integers(0, 6000), max_size=8),
    n_mels=st.sampled_from([80, 128]),
)
@example(length=400, cuts=[200], n_mels=80)
@example(length=1639, cuts=[1, 201], n_mels=80)
def test_pieces_of_any_size_are_the_whole_clip_but_for_its_floor(length, cuts, n_mels):
    clip = CLIP[:length]
    expected = log_mel(clip, n_mels)
    frames = streamed(clip, sorted(min(cut, length) for cut in cuts), n_mels)
    assert frames.shape == expected.shape
    floored = torch.maximum(frames, expected.max() - 2.0)
    torch.testing.assert_close(floored, expected, atol=1e-4, rtol=0)


def test_a_frame_is_there_once_its_window_is():
    stream = StreamingLogMel(80)
    counts = [len(stream.push(NOISE[at : at + 40])) for at in range(0, 800, 40)]
    # Frame t ends with sample 160 t + 200, and the first one waits for what is mirrored.
    assert [40 * (i + 1) for i, count in enumerate(counts) if count] == [240, 360, 520, 680]


@pytest.mark.parametrize("n_mels", [80, 128])
def test_samples_within_one_reach_no_bin_of_a_thousand(n_mels):
    """So a floor at 10 ** -5 is never below the clip's own, eight decades under its loudest."""
    loudest = -np.inf
    for period in range(16, 2000, 16):
        square = np.sign(np.sin(2 * np.pi * np.arange(2000) / period + 0.1)).astype(np.float32)
        loudest = max(loudest, float(streamed(square, [], n_mels).max()))
    assert 1.5 < loudest < (3 + 4) / 4
