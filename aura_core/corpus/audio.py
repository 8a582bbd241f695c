"""Any audio file in, 16 kHz mono float32 out, or a reason why not."""

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from aura_core.corpus.table import SAMPLE_RATE

# Some writers forget a chunk's padding; a real cut loses more.
_HEADER_SLACK_BYTES = 64
# A pipe's writer cannot know the length and leaves one of these.
_UNKNOWN_SIZES = (0, 0xFFFF_FFFF, 0x7FFF_FFFF)


class BadAudioError(Exception):
    """The file cannot be used. `kind` is one of a few fixed names, `detail` says more."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Clip:
    """Decoded audio: float32 [samples] at 16 kHz, and the rate it had."""

    audio: NDArray[np.float32]
    source_sample_rate: int

    @property
    def duration_s(self) -> float:
        """Length after resampling."""
        return len(self.audio) / SAMPLE_RATE


def decode_file(file: BinaryIO, max_duration_s: float) -> Clip:
    """Decode an open audio file of any format, rate and number of channels.

    A file that says it is longer than `max_duration_s` is refused before it is read.

    Raises:
        BadAudioError: `empty`, `truncated`, `not audio`, `not finite` or `too long`.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    if size_bytes == 0:
        raise BadAudioError("empty", "the file has no bytes")
    file.seek(0)
    _check_container_size(file.read(12), size_bytes)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            promised, rate = sound.frames, sound.samplerate
            _check_duration(promised / rate, max_duration_s)
            frames = sound.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise BadAudioError("not audio", error.error_string.strip().rstrip(".")) from error
    if len(frames) < promised:
        raise BadAudioError(
            "truncated", f"the header promises {promised} frames, there are {len(frames)}"
        )
    return _clip(frames, rate)


def _clip(frames: NDArray[np.float32], rate: int) -> Clip:
    if len(frames) == 0:
        raise BadAudioError("empty", "there are no samples")
    if not np.isfinite(frames).all():
        raise BadAudioError("not finite", "there are NaN or infinite samples")
    mono = frames.mean(axis=1, dtype=np.float32)
    audio = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    if len(audio) == 0:
        raise BadAudioError("empty", "there is less than one sample at 16 kHz")
    return Clip(np.ascontiguousarray(audio, dtype=np.float32), rate)


def _check_container_size(head: bytes, size_bytes: int) -> None:
    """RIFF and AIFF state their size, and libsndfile reads a cut one without a word."""
    if head[:4] not in (b"RIFF", b"FORM"):
        return
    stated = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    if stated not in _UNKNOWN_SIZES and stated + 8 > size_bytes + _HEADER_SLACK_BYTES:
        raise BadAudioError(
            "truncated", f"the header promises {stated + 8} bytes, there are {size_bytes}"
        )


def _check_duration(duration_s: float, max_duration_s: float) -> None:
    if duration_s > max_duration_s:
        raise BadAudioError("too long", f"{duration_s:.1f} s, at most {max_duration_s:g} s")
