"""Transcripts of a file's pieces, as text, JSON or subtitles, written as the pieces come."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

FORMATS = ("txt", "json", "srt")


@dataclass(frozen=True)
class Piece:
    """What was said in a stretch of a file; the text is empty where nobody spoke."""

    start_s: float
    stop_s: float
    text: str


def render(file: str, pieces: Iterable[Piece], kind: str) -> Iterator[str]:
    """Yield the transcript of `file` in one of `FORMATS`, a part for each piece with words.

    The parts together are the transcript: a line a piece (txt), one line a file (json), or
    numbered subtitles (srt).
    """
    said = (piece for piece in pieces if piece.text)
    if kind == "txt":
        yield from (f"{piece.text}\n" for piece in said)
    elif kind == "json":
        yield f'{{"file": {json.dumps(file, ensure_ascii=False)}, "pieces": ['
        for number, piece in enumerate(said):
            yield ", " * bool(number) + json.dumps(asdict(piece), ensure_ascii=False)
        yield "]}\n"
    else:
        for number, piece in enumerate(said, start=1):
            gap = "\n" if number > 1 else ""
            when = f"{_clock(piece.start_s)} --> {_clock(piece.stop_s)}"
            yield f"{gap}{number}\n{when}\n{piece.text}\n"


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"
