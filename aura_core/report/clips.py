"""Audio inside the page: a small MP3 as a data URI, and the picture of its loudness."""

import base64
import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from aura_core.corpus.table import SAMPLE_RATE

WAVEFORM_BARS = 44


def audio_data_uri(audio: NDArray[np.float32]) -> str:
    """Encode float32 [samples] at 16 kHz as an MP3, which every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        audio,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.6,
    )
    return "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def waveform(audio: NDArray[np.float32], bars: int = WAVEFORM_BARS) -> list[float]:
    """Loudness of `bars` equal stretches of float32 [samples], the loudest being 1."""
    if audio.size == 0:
        return [0.0] * bars
    edges = np.linspace(0, audio.size, bars + 1).astype(int)
    squares = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
    power = np.diff(squares[edges]) / np.maximum(np.diff(edges), 1)
    # A square root of the level keeps quiet speech visible beside loud vowels.
    level = np.sqrt(np.sqrt(np.maximum(power, 0)))
    peak = level.max()
    return [round(float(value), 3) for value in (level / peak if peak > 0 else level)]
