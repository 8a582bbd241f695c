"""Audio of formats that soundfile does not read, by the program ffmpeg where it is installed."""

import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aura_core.corpus.audio import BadAudioError
from aura_core.corpus.table import SAMPLE_RATE

# What telephones and browsers record, and films.
SUFFIXES = frozenset(
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
