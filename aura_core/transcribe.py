"""Long recordings to text: cut where it is quiet, asked piece by piece, written as they come."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from aura_core.chat.reply import ChatModel
from aura_core.config.stage import MAX_CLIP_S
from aura_core.speech_check import has_speech
from aura_core.turns import Audio, Turn

# Where to cut long audio: at its quietest moments, so that no piece is too long to be heard.

_FRAME_S = 0.02
# Energy is averaged over this much: a single quiet frame lies inside a word as well.
_SILENCE_S = 0.2


def cut_at_silences(
    audio: NDArray[np.float32], sample_rate: int, max_s: float = MAX_CLIP_S, min_s: float = 5.0
) -> list[tuple[int, int]]:
    """Return (start, stop) of pieces in samples: contiguous, in order, together all of `audio`.

    Greedy: each piece ends at the quietest moment of the window in which it may end, the latest
    of equally quiet ones.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        max_s: the longest piece.
        min_s: the shortest one; the last may be shorter.

    Raises:
        ValueError: unless 0 < min_s < max_s.
    """
    if not 0 < min_s < max_s:
        raise ValueError(f"min_s {min_s:g} and max_s {max_s:g} leave nowhere to cut")
    longest = int(max_s * sample_rate)
    frame = max(1, round(_FRAME_S * sample_rate))
    level = _level(audio, frame)
    pieces, start = [], 0
    while len(audio) - start > longest:
        # Boundaries of frames inside the piece; a piece of less than one frame ends anywhere.
        first = -(-(start + int(min_s * sample_rate)) // frame)
        last = (start + longest) // frame
        window = level[first : last + 1]
        stop = start + longest
        if len(window):
            stop = (first + len(window) - 1 - int(window[::-1].argmin())) * frame
        pieces.append((start, stop))
        start = stop
    if start < len(audio):
        pieces.append((start, len(audio)))
    return pieces


def _level(audio: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
    """Mean power around each boundary between frames, the first at 0."""
    whole = audio[: len(audio) // frame * frame].reshape(-1, frame).astype(np.float64)
    power = np.square(whole).mean(axis=1)
    half = max(1, round(_SILENCE_S / _FRAME_S / 2))
    total = np.concatenate([[0.0], power.cumsum()])
    boundary = np.arange(len(power) + 1)
    low, high = (boundary - half).clip(min=0), (boundary + half).clip(max=len(power))
    mean: NDArray[np.float64] = (total[high] - total[low]) / np.maximum(high - low, 1)
    return mean


# Transcripts of a file's pieces, as text, JSON or subtitles, written as the pieces come.

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


# (audio at 16 kHz of at most 30 s, instruction, longest answer in tokens) -> answer
Listener = Callable[[Audio, str, int], str]


def load_listener(uri: str) -> Listener:
    """Load a distil artifact, or a folder that `aura export` wrote.

    Raises:
        AuraError: if it is neither.
    """
    # Loads torch, and who asks for cuts or formats needs none.
    from aura_core.chat.load import load_chat

    return as_listener(load_chat(uri))


def as_listener(model: ChatModel) -> Listener:
    """Return what asks a model about one clip; where nobody speaks the answer is empty."""

    def ask(audio: Audio, instruction: str, max_new_tokens: int) -> str:
        if not has_speech(audio):
            return ""
        return "".join(model.reply([Turn("user", (audio, instruction))], max_new_tokens))

    return ask
