"""`aura transcribe` and `aura ask`: a trained model on audio files."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from aura_core.artifacts.store import require_writable
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.stage import MAX_CLIP_S
from aura_core.errors import AuraError
from aura_core.ingest.source_item import is_audio, needs_ffmpeg
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.transcribe import FORMATS, Piece, cut_at_silences, render
from flows.interrupt import interrupt
from flows.options import Count
from flows.request import resolve_root

# Audio files that a user names: which there are, whether they can be read, and what they hold.

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

T = TypeVar("T")


def audio_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files as named, and those in folders that by their suffix are audio, in order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if is_audio(each.name))
        else:
            yield path


def read_audio(file: Path, max_duration_s: float) -> "NDArray[float32]":
    """Return float32 [samples] at 16 kHz. Raises AuraError with the file's name and the reason."""
    return _told(file, lambda: _decode(file, max_duration_s))


def check_audio(file: Path, max_duration_s: float) -> None:
    """Raise what is wrong with a file as far as its beginning tells, in little time."""
    _told(file, lambda: _check(file, max_duration_s))


def _told(file: Path, read: Callable[[], T]) -> T:
    from aura_core.ingest.audio import BadAudioError

    try:
        return read()
    except OSError as error:
        raise AuraError(f"{file}: {error.strerror}") from error
    except BadAudioError as error:
        raise AuraError(f"{file}: {error}") from error


def _decode(file: Path, max_duration_s: float) -> "NDArray[float32]":
    from aura_core.ingest.audio import decode_by_ffmpeg, decode_file

    with file.open("rb") as opened:
        if not needs_ffmpeg(file.name):
            return decode_file(opened, max_duration_s).audio
    return decode_by_ffmpeg(file, max_duration_s).audio


def _check(file: Path, max_duration_s: float) -> None:
    from aura_core.ingest.audio import check_header, first_seconds

    with file.open("rb") as opened:
        if not needs_ffmpeg(file.name):
            return check_header(opened, max_duration_s)
    first_seconds(file, 1.0)


if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from aura_core.transcribe import Listener

_MAX_FILE_S = 24 * 3600.0

Model = str | None
Root = str | None


@dataclass(frozen=True)
class _Output:
    """Where transcripts go, and in which format."""

    kind: str
    folder: Path | None
    is_named: bool  # each printed line begins with its file

    def path(self, file: Path) -> Path | None:
        """Where the transcript of an audio file is written; None: it is printed."""
        return None if self.folder is None else self.folder / f"{file.stem}.{self.kind}"

    @contextmanager
    def writer(self, file: Path) -> Iterator[Callable[[str], None]]:
        """Give what writes the parts of a file's transcript as they come."""
        path = self.path(file)
        if path is None:
            name = f"{file}: " if self.is_named and self.kind == "txt" else ""
            yield lambda part: print(f"{name}{part}", end="", flush=True)
            return
        # Under its own name once it is whole, for whoever resumes.
        draft = path.with_name(f"{path.name}.partial")
        with draft.open("w", encoding="utf-8") as opened:
            yield lambda part: print(part, end="", file=opened, flush=True)
        draft.replace(path)


def transcribe(
    *files: Path,
    model: Model = None,
    root: Root = None,
    kind: Annotated[str, Parameter(name="--format")] = "txt",
    to: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    max_new_tokens: Count = 256,
) -> None:
    """Write down what is said in audio files, of any length, rate and common format.

    For example:
      aura transcribe talk.wav
      aura transcribe recordings/ --format srt --to subtitles/

    A long file is cut into pieces of up to 30 s at its quietest moments, and each piece is written
    as soon as it is heard. Pieces in which nobody speaks are left out. M4A, WebM and the like need
    the program ffmpeg.

    Parameters
    ----------
    files:
        Audio files, and folders of them at any depth.
    model:
        A distil artifact, a folder of `aura export`, or a run; or the name of one of the run's
        models: aura, a variant of it, or cascade. [default: the newest run below the root]
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    kind:
        txt (a line a piece, behind the file's name if there are several), json (a line a file:
        pieces with start_s and stop_s) or srt.
    to:
        Write one file each into this folder; `.partial` until it is whole. [default: print them]
    resume:
        Leave alone what that folder has of an earlier call.
    max_new_tokens:
        The longest transcript of a piece of at most 30 s.
    """
    if not files:
        raise AuraError("name an audio file, or a folder of them: aura transcribe talk.wav")
    if kind not in FORMATS:
        raise AuraError(f"no format {kind!r}: choose one of {', '.join(FORMATS)}")
    found = list(audio_files(files))
    if not found:
        raise AuraError(f"no audio file below {', '.join(map(str, files)) or 'nothing named'}")
    output = _Output(kind, to, is_named=len(found) > 1)
    _check_output(found, output, resume)
    there = [each for each in found if resume and (path := output.path(each)) and path.exists()]
    if there:
        print(f"{len(there)} of {len(found)} files are there already", file=sys.stderr)
        found = [each for each in found if each not in there]
    bad = _unreadable(found)
    for problem in bad.values() if len(bad) < len(found) else ():
        print(f"left out: {problem}", file=sys.stderr)
    good = [each for each in found if each not in bad]
    if good:
        with interrupt.resumable() if resume else nullcontext():
            bad |= _transcribe_all(good, _load(model, root), output, max_new_tokens)
    if bad:
        told = "; ".join(bad.values())
        raise AuraError(f"{len(bad)} of {len(found)} files could not be read: {told}")


def ask(
    file: Path,
    question: str,
    /,
    *,
    model: Model = None,
    root: Root = None,
    max_new_tokens: Count = 256,
) -> None:
    """Ask something about an audio file of at most 30 s.

    For example:
      aura ask request.wav "What is wanted?"

    Parameters
    ----------
    file:
        The audio.
    question:
        What to do with it, in words.
    model:
        As for `aura transcribe`. [default: the newest run below the root]
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    max_new_tokens:
        The longest answer.
    """
    audio = read_audio(file, MAX_CLIP_S)
    from aura_core.speech_check import has_speech

    if not has_speech(audio):
        raise AuraError(f"{file}: nobody speaks in it")
    print(_load(model, root)(audio, question, max_new_tokens))


def _load(model: Model, root: Root) -> "Listener":
    """Load the model that is meant, and say which it is."""
    from aura_core.chat.run_models import find_models
    from aura_core.transcribe import as_listener

    models = find_models(model, resolve_root(root))
    print(models.describe(models.main), file=sys.stderr, flush=True)
    return as_listener(models[models.main])


def _check_output(files: Sequence[Path], output: _Output, resume: bool) -> None:
    """Raise AuraError for an output that could not be written, or told apart."""
    clashing = {each.stem for each in files if sum(each.stem == one.stem for one in files) > 1}
    if output.folder is None:
        if resume:
            raise AuraError("--resume goes on with files: name their folder, --to FOLDER")
        if output.kind == "srt" and len(files) > 1:
            raise AuraError("subtitles are a file each: name a folder for them, --to FOLDER")
        return
    if clashing:
        raise AuraError(f"two files would be written as {min(clashing)}.{output.kind}: rename one")
    require_writable(str(output.folder))


def _unreadable(files: Sequence[Path]) -> dict[Path, str]:
    """What is wrong with files that cannot be read, as far as their beginning tells."""
    found = {}
    for file in files:
        try:
            check_audio(file, _MAX_FILE_S)
        except AuraError as error:
            found[file] = str(error)
    return found


def _transcribe_all(
    files: Sequence[Path], listener: "Listener", output: _Output, max_new_tokens: int
) -> dict[Path, str]:
    """Transcribe what can be read, and return what is wrong with the others."""
    bad = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    # The bar takes what is printed beneath itself, to where the bar is: not what goes to a file.
    on_screen = sys.stdout.isatty()
    console = Console(stderr=True)
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=on_screen,
        disable=not console.is_terminal,
    ) as progress:
        whole = progress.add_task("", total=len(files))
        for file in files:
            progress.update(whole, description=file.name)
            try:
                audio = read_audio(file, _MAX_FILE_S)
            except AuraError as error:
                bad[file] = str(error)
                progress.advance(whole)
                continue
            pieces = _hear(file, audio, listener, max_new_tokens, partial(progress.advance, whole))
            with output.writer(file) as write:
                for part in render(str(file), pieces, output.kind):
                    write(part)
    return bad


def _hear(
    file: Path,
    audio: "NDArray[float32]",
    listener: "Listener",
    max_new_tokens: int,
    advance: Callable[[float], None],
) -> Iterator[Piece]:
    """Yield what is said in each piece of a file, and tell the user if that is nothing."""
    is_silent = True
    for start, stop in cut_at_silences(audio, SAMPLE_RATE):
        text = listener(audio[start:stop], TRANSCRIBE, max_new_tokens)
        is_silent &= not text
        advance((stop - start) / len(audio))
        yield Piece(start / SAMPLE_RATE, stop / SAMPLE_RATE, text)
    if is_silent:
        print(f"{file}: no words in it", file=sys.stderr)
