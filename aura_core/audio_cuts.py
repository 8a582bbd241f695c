"""Where to cut long audio: at its quietest moments, so that no piece is too long to be heard."""

import numpy as np
from numpy.typing import NDArray

_FRAME_S = 0.02
# Energy is averaged over this much: a single quiet frame lies inside a word as well.
_SILENCE_S = 0.2


def cut_at_silences(
    audio: NDArray[np.float32], sample_rate: int, max_s: float = 30.0, min_s: float = 5.0
) -> list[tuple[int, int]]:
    """Return (start, stop) of pieces in samples: contiguous, in order, together all of `audio`.

    Greedy: each piece ends at the quietest moment of the window in which it may end, the latest
    of equally quiet ones.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        max_s: the longest piece.
        min_s: the shortest one; the last may be shorter.

    Raises:
        ValueError: unless 0 < min_s < max_s.
    """
    if not 0 < min_s < max_s:
        raise ValueError(f"min_s {min_s:g} and max_s {max_s:g} leave nowhere to cut")
    longest = int(max_s * sample_rate)
    frame = max(1, round(_FRAME_S * sample_rate))
    level = _level(audio, frame)
    pieces, start = [], 0
    while len(audio) - start > longest:
        # Boundaries of frames inside the piece; a piece of less than one frame ends anywhere.
        first = -(-(start + int(min_s * sample_rate)) // frame)
        last = (start + longest) // frame
        window = level[first : last + 1]
        stop = start + longest
        if len(window):
            stop = (first + len(window) - 1 - int(window[::-1].argmin())) * frame
        pieces.append((start, stop))
        start = stop
    if start < len(audio):
        pieces.append((start, len(audio)))
    return pieces


def _level(audio: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
    """Mean power around each boundary between frames, the first at 0."""
    whole = audio[: len(audio) // frame * frame].reshape(-1, frame).astype(np.float64)
    power = np.square(whole).mean(axis=1)
    half = max(1, round(_SILENCE_S / _FRAME_S / 2))
    total = np.concatenate([[0.0], power.cumsum()])
    boundary = np.arange(len(power) + 1)
    low, high = (boundary - half).clip(min=0), (boundary + half).clip(max=len(power))
    mean: NDArray[np.float64] = (total[high] - total[low]) / np.maximum(high - low, 1)
    return mean
