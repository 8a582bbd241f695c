"""`aura transcribe` and `aura ask`: a trained model on audio files."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from aura_core.artifacts import store
from aura_core.artifacts.newest import newest_artifact
from aura_core.audio_cuts import cut_at_silences
from aura_core.corpus.table import SAMPLE_RATE
from aura_core.errors import AuraError
from aura_core.instructions import TRANSCRIBE
from aura_core.transcripts import FORMATS, Piece, render
from flows.request import resolve_root

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".opus", ".w64", ".caf"}
_MAX_FILE_S = 24 * 3600.0
_MAX_ASKED_S = 30.0

Model = Annotated[str | None, Parameter(name="--model")]
Root = str | None


@dataclass(frozen=True)
class _Output:
    """Where transcripts go, and in which format."""

    kind: str
    folder: Path | None

    def path(self, file: Path) -> Path | None:
        """Where the transcript of an audio file is written; None: it is printed."""
        return None if self.folder is None else self.folder / f"{file.stem}.{self.kind}"


def transcribe(
    *files: Path,
    model: Model = None,
    root: Root = None,
    kind: Annotated[str, Parameter(name="--format")] = "txt",
    to: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    max_new_tokens: int = 256,
) -> None:
    """Write down what is said in audio files, of any length, rate and common format.

    For example:
      aura transcribe talk.wav
      aura transcribe recordings/ --format srt --to subtitles/

    Parameters
    ----------
    files:
        Audio files, and folders of them at any depth.
    model:
        A distil artifact or a folder of `aura export`. [default: the newest one below the root]
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    kind:
        txt, json (a line a file: pieces with start_s and stop_s) or srt.
    to:
        Write one file each into this folder. [default: print them]
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
        raise AuraError(f"no audio file below {', '.join(map(str, files))}")
    clashing = {each.stem for each in found if sum(each.stem == one.stem for one in found) > 1}
    if to is not None and clashing:
        raise AuraError(f"two files would be written as {sorted(clashing)[0]}.{kind}: rename one")
    if resume and to is None:
        raise AuraError("--resume goes on with files: name their folder, --to FOLDER")
    output = _Output(kind, to)
    there = [each for each in found if resume and (path := output.path(each)) and path.exists()]
    if there:
        print(f"{len(there)} of {len(found)} files are there already", file=sys.stderr)
        found = [each for each in found if each not in there]
    uri = model or newest_artifact(resolve_root(root), "distil")
    bad = _transcribe_all(found, uri, output, max_new_tokens)
    if bad:
        raise AuraError(f"{len(bad)} of {len(found)} files could not be read: {'; '.join(bad)}")


def ask(
    file: Path,
    question: str,
    /,
    *,
    model: Model = None,
    root: Root = None,
    max_new_tokens: int = 256,
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
        A distil artifact or a folder of `aura export`. [default: the newest one below the root]
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    max_new_tokens:
        The longest answer.
    """
    audio = read_audio(file, _MAX_ASKED_S)
    from aura_core.listener import load_listener

    listener = load_listener(model or newest_artifact(resolve_root(root), "distil"))
    print(listener(audio, question, max_new_tokens))


def audio_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files as named, and those in folders that by their suffix are audio, in order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in _SUFFIXES)
        else:
            yield path


def read_audio(file: Path, max_duration_s: float) -> "NDArray[float32]":
    """Return float32 [samples] at 16 kHz. Raises AuraError with the file's name and the reason."""
    from aura_core.corpus.audio import BadAudioError, decode_file

    try:
        with file.open("rb") as opened:
            return decode_file(opened, max_duration_s).audio
    except OSError as error:
        raise AuraError(f"{file}: {error.strerror}") from error
    except BadAudioError as error:
        raise AuraError(f"{file}: {error}") from error


def _transcribe_all(
    files: Sequence[Path], uri: str, output: _Output, max_new_tokens: int
) -> list[str]:
    """Transcribe what can be read, and return what is wrong with the others."""
    from aura_core.listener import load_listener

    listener = load_listener(uri)
    bad = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        whole = progress.add_task("", total=len(files))
        for file in files:
            progress.update(whole, description=file.name)
            try:
                audio = read_audio(file, _MAX_FILE_S)
            except AuraError as error:
                bad.append(str(error))
                progress.advance(whole)
                continue
            pieces = []
            for start, stop in cut_at_silences(audio, SAMPLE_RATE):
                text = listener(audio[start:stop], TRANSCRIBE, max_new_tokens)
                pieces.append(Piece(start / SAMPLE_RATE, stop / SAMPLE_RATE, text))
                progress.advance(whole, (stop - start) / len(audio))
            _write(file, render(str(file), pieces, output.kind), output)
    return bad


def _write(file: Path, text: str, output: _Output) -> None:
    path = output.path(file)
    if path is None:
        print(text, end="", flush=True)
    else:
        # Whole or not at all, for whoever resumes.
        store.write_text(str(path), text)
