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
    with _open(file, max_duration_s) as sound:
        promised, rate = sound.frames, sound.samplerate
        frames = _read(sound)
    if len(frames) < promised:
        raise BadAudioError(
            "truncated", f"the header promises {promised} frames, there are {len(frames)}"
        )
    return _clip(frames, rate)


def check_header(file: BinaryIO, max_duration_s: float) -> None:
    """Raise what `decode_file` raises of an open file before it reads any samples."""
    _open(file, max_duration_s).close()


def _open(file: BinaryIO, max_duration_s: float) -> soundfile.SoundFile:
    size_bytes = file.seek(0, io.SEEK_END)
    if size_bytes == 0:
        raise BadAudioError("empty", "the file has no bytes")
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise BadAudioError("not audio", _message(error)) from error
    _check_not_cut(sound.extra_info)
    _check_duration(sound.frames / sound.samplerate, max_duration_s)
    return sound


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


def _read(sound: soundfile.SoundFile) -> NDArray[np.float32]:
    try:
        frames: NDArray[np.float32] = sound.read(dtype="float32", always_2d=True)
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
    if duration_s > max_duration_s:
        raise BadAudioError("too long", f"{duration_s:.1f} s, at most {max_duration_s:g} s")


# Audio of formats that soundfile does not read, by the program ffmpeg where it is installed.

# What telephones and browsers record, and films.
FFMPEG_SUFFIXES = frozenset(
    {".m4a", ".webm", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".mka", ".mkv", ".mov"}
)


def decode_by_ffmpeg(file: Path, stop_s: float) -> NDArray[np.float32]:
    """Return the first `stop_s` seconds of a file's sound: float32 [samples] at 16 kHz, mono.

    Raises:
        BadAudioError: `needs ffmpeg`, where it is not installed, with the command that converts
            the file; or `not audio`.
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
    command += ["-i", f"file:{file}", "-t", str(stop_s), "-vn", "-af", mono]
    done = subprocess.run([*command, "-f", "f32le", "pipe:1"], capture_output=True, check=False)
    # A copy: torch warns of what cannot be written.
    audio = np.frombuffer(done.stdout, dtype="<f4").copy()
    if done.returncode or len(audio) == 0:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadAudioError("not audio", told[-1] if told else "there are no samples")
    return audio
