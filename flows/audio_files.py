"""Audio files that a user names: which there are, whether they can be read, and what they hold."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aura_core.corpus.source_item import AUDIO_SUFFIXES
from aura_core.errors import AuraError

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

T = TypeVar("T")


def audio_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files as named, and those in folders that by their suffix are audio, in order."""
    from aura_core.corpus import ffmpeg

    suffixes = ffmpeg.SUFFIXES.union(AUDIO_SUFFIXES)
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in suffixes)
        else:
            yield path


def read_audio(file: Path, max_duration_s: float) -> "NDArray[float32]":
    """Return float32 [samples] at 16 kHz. Raises AuraError with the file's name and the reason."""
    return _told(file, lambda: _decode(file, max_duration_s))


def check_audio(file: Path, max_duration_s: float) -> None:
    """Raise what is wrong with a file as far as its beginning tells, in little time."""
    _told(file, lambda: _check(file, max_duration_s))


def _told(file: Path, read: Callable[[], T]) -> T:
    from aura_core.corpus.audio import BadAudioError

    try:
        return read()
    except OSError as error:
        raise AuraError(f"{file}: {error.strerror}") from error
    except BadAudioError as error:
        raise AuraError(f"{file}: {error}") from error


def _decode(file: Path, max_duration_s: float) -> "NDArray[float32]":
    from aura_core.corpus import ffmpeg
    from aura_core.corpus.audio import BadAudioError, decode_file
    from aura_core.corpus.table import SAMPLE_RATE

    with file.open("rb") as opened:
        if file.suffix.lower() not in ffmpeg.SUFFIXES:
            return decode_file(opened, max_duration_s).audio
    audio = ffmpeg.decode_by_ffmpeg(file, max_duration_s + 1)
    if len(audio) > max_duration_s * SAMPLE_RATE:
        raise BadAudioError("too long", f"at most {max_duration_s:g} s")
    return audio


def _check(file: Path, max_duration_s: float) -> None:
    from aura_core.corpus import ffmpeg
    from aura_core.corpus.audio import check_header

    with file.open("rb") as opened:
        if file.suffix.lower() not in ffmpeg.SUFFIXES:
            return check_header(opened, max_duration_s)
    ffmpeg.decode_by_ffmpeg(file, 1.0)
