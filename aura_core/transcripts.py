"""Transcripts of a file's pieces, as text, JSON or subtitles."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

FORMATS = ("txt", "json", "srt")


@dataclass(frozen=True)
class Piece:
    """What was said in a stretch of a file."""

    start_s: float
    stop_s: float
    text: str


def render(file: str, pieces: Sequence[Piece], kind: str) -> str:
    """Return the transcript of `file` in one of `FORMATS`, ending in a line break."""
    if kind == "txt":
        return " ".join(piece.text for piece in pieces) + "\n"
    if kind == "json":
        whole = {"file": file, "pieces": [asdict(piece) for piece in pieces]}
        return json.dumps(whole, ensure_ascii=False) + "\n"
    return "\n".join(
        f"{number}\n{_clock(piece.start_s)} --> {_clock(piece.stop_s)}\n{piece.text}\n"
        for number, piece in enumerate(pieces, start=1)
    )


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"
