"""Any audio file in, 16 kHz mono float32 out, or a reason why not."""

import io
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from aura_core.ingest.utterances import SAMPLE_RATE

# libsndfile reads a cut file of these kinds without an error; only its log, line by line,
# names the stated and the actual size: WAV `data`, AIFF `SSND`, AU, W64, RF64.
_CUT = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
# Some writers forget a chunk's padding; a real cut loses more.
_SLACK_BYTES = 64
# A pipe's writer cannot know the length and states one near the end of 31 or 32 bits.
_UNKNOWN_SIZE_BYTES = 0x7FFF_F000
# Clips are cut by tools that round: what is longer than allowed by less loses its end.
_ROUNDING_S = 0.01
# A decoder may exceed full scale a little; floats at the scale of integers do by thousands.
_MAX_PEAK = 16.0
# Channels of one sound have a mean as loud as they are, of unlike ones about half.
_MIN_MEAN_SHARE = 0.3


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


def decode_file(
    file: BinaryIO,
    max_duration_s: float,
    offset_s: float = 0.0,
    duration_s: float | None = None,
) -> Clip:
    """Decode an open audio file, or a part of it, of any format, rate and number of channels.

    What is longer than `max_duration_s` is refused before it is read.

    Args:
        file: at its beginning or not.
        max_duration_s: the longest clip.
        offset_s: where the part begins; nothing before it is decoded.
        duration_s: of the part; None: to the end.

    Raises:
        BadAudioError: `empty`, `truncated`, `not audio`, `not finite`, `not scaled`,
            `channels cancel` or `too long`.
    """
    try:
        with _open(file) as sound:
            rate, start = sound.samplerate, round(offset_s * sound.samplerate)
            wanted = sound.frames - start if duration_s is None else round(duration_s * rate)
            _check_duration(wanted / rate, max_duration_s)
            if start and start + wanted > sound.frames + round(_ROUNDING_S * rate):
                raise BadAudioError(
                    "truncated",
                    f"the part ends at {(start + wanted) / rate:.2f} s, the file at "
                    f"{sound.frames / rate:.2f} s",
                )
            if start:
                sound.seek(start)
            wanted = min(wanted, sound.frames - start)
            frames = _read(sound, wanted)
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        # Of a decoder: whatever is wrong with one file ends nothing but this file.
        raise BadAudioError("not audio", f"{type(error).__name__}: {error}") from error
    if len(frames) < wanted:
        raise BadAudioError(
            "truncated", f"the header promises {wanted} frames, there are {len(frames)}"
        )
    return _clip(frames, rate, max_duration_s)


def check_header(file: BinaryIO, max_duration_s: float) -> None:
    """Raise what `decode_file` raises of an open file before it reads any samples."""
    with _open(file) as sound:
        _check_duration(sound.frames / sound.samplerate, max_duration_s)


def _open(file: BinaryIO) -> soundfile.SoundFile:
    size_bytes = file.seek(0, io.SEEK_END)
    if size_bytes == 0:
        raise BadAudioError("empty", "the file has no bytes")
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise BadAudioError("not audio", _message(error)) from error
    _check_not_cut(sound.extra_info)
    return sound


def _clip(frames: NDArray[np.float32], rate: int, max_duration_s: float) -> Clip:
    if len(frames) == 0:
        raise BadAudioError("empty", "there are no samples")
    if not np.isfinite(frames).all():
        raise BadAudioError("not finite", "there are NaN or infinite samples")
    peak = float(np.abs(frames).max())
    if peak > _MAX_PEAK:
        raise BadAudioError(
            "not scaled", f"samples reach {peak:.0f} where 1 is full scale: divide them first"
        )
    mono = frames.mean(axis=1, dtype=np.float32)
    if frames.shape[1] > 1 and _cancel(frames, mono):
        raise BadAudioError(
            "channels cancel", "they are opposite, and their mean is next to silence: keep one"
        )
    mono /= np.float32(max(1.0, peak))
    audio = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    if len(audio) == 0:
        raise BadAudioError("empty", "there is less than one sample at 16 kHz")
    audio = audio[: round(max_duration_s * SAMPLE_RATE)]
    return Clip(np.ascontiguousarray(audio, dtype=np.float32), rate)


def _cancel(frames: NDArray[np.float32], mean: NDArray[np.float32]) -> bool:
    loudest = float(np.sqrt((frames**2).mean(axis=0)).max()) / frames.shape[1]
    return bool(np.sqrt((mean**2).mean()) < _MIN_MEAN_SHARE * loudest)


def _read(sound: soundfile.SoundFile, count: int) -> NDArray[np.float32]:
    try:
        # By their number, as decoders that cannot seek do not know where the end is.
        frames: NDArray[np.float32] = sound.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        # The header was good, so it is the samples that are cut off or damaged.
        raise BadAudioError("truncated", _message(error)) from error
    return frames


def _check_not_cut(log: str) -> None:
    for stated, actual in _CUT.findall(log):
        if int(actual) + _SLACK_BYTES < int(stated) < _UNKNOWN_SIZE_BYTES:
            raise BadAudioError(
                "truncated", f"the header promises {stated} bytes, there are {actual}"
            )


def _message(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").strip().rstrip(".")


def _check_duration(duration_s: float, max_duration_s: float) -> None:
    if duration_s > max_duration_s + _ROUNDING_S:
        raise BadAudioError("too long", f"{duration_s:.2f} s, at most {max_duration_s:g} s")


# Audio of formats that soundfile does not read, by the program ffmpeg where it is installed.


def decode_by_ffmpeg(
    file: Path, max_duration_s: float, offset_s: float = 0.0, duration_s: float | None = None
) -> Clip:
    """Decode the sound of a file, or a part of it, as `decode_file` does.

    Raises:
        BadAudioError: `needs ffmpeg`, where it is not installed, with the command that converts
            the file; `not audio` or `too long`.
    """
    stop_s = max_duration_s + 1 if duration_s is None else duration_s
    audio = first_seconds(file, stop_s, offset_s)
    _check_duration(len(audio) / SAMPLE_RATE, max_duration_s)
    return Clip(audio[: round(max_duration_s * SAMPLE_RATE)], _sample_rate(file))


def first_seconds(file: Path, stop_s: float, offset_s: float = 0.0) -> NDArray[np.float32]:
    """Return `stop_s` seconds at most of a file's sound: float32 [samples] at 16 kHz, mono.

    Raises:
        BadAudioError: `needs ffmpeg` or `not audio`.
    """
    if shutil.which("ffmpeg") is None:
        wav = shlex.quote(str(file.with_suffix(".wav")))
        raise BadAudioError(
            "needs ffmpeg",
            "apt-get install ffmpeg; or convert it elsewhere: "
            f"ffmpeg -i {shlex.quote(str(file))} -vn -ac 1 -ar {SAMPLE_RATE} {wav}",
        )
    # `file:`, as ffmpeg takes names with a colon for addresses; a file may name no others.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    # Without that maximum two channels alike become one that is louder.
    mono = f"aresample={SAMPLE_RATE}:out_chlayout=mono:rematrix_maxval=1"
    command += ["-ss", str(offset_s), "-i", f"file:{file}", "-t", str(stop_s), "-vn", "-af", mono]
    done = subprocess.run([*command, "-f", "f32le", "pipe:1"], capture_output=True, check=False)
    # A copy: torch warns of what cannot be written.
    audio = np.frombuffer(done.stdout, dtype="<f4").copy()
    if done.returncode or len(audio) == 0:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadAudioError("not audio", told[-1] if told else "there are no samples")
    return audio


def _sample_rate(file: Path) -> int:
    """What a file's first sound was sampled at; 16 kHz where ffmpeg does not say."""
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=sample_rate", f"file:{file}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = done.stdout.strip().partition("\n")[0]
    return int(told) if told.isdigit() else SAMPLE_RATE
