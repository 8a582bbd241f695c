"""One question of a benchmark: what is said, what is asked of it, what counts as right."""

from dataclasses import dataclass, field

from pydantic import JsonValue

# In `extra`, true: nobody says what the answer should be, and the only reference is empty.
OPEN_ENDED = "open_ended"


@dataclass(frozen=True)
class BenchmarkItem:
    """One question, heard or read.

    Attributes:
        id: unique in its benchmark.
        text: what is said, the true transcript: what the text-in upper bound reads. What is
            read, where nothing is said.
        prompt_text: the written instruction after the audio; may be empty.
        references: accepted answers, at least one; the first is the one shown. One empty text
            where `extra` says that the question is `OPEN_ENDED`.
        audio: an audio file of any format soundfile reads; FLAC, 16 kHz, mono, 16 bit once it
            is in an item table. None where the text is read.
        choices: letter -> text of a multiple choice.
        extra: facts of the item: what it may be sliced by, and what its scorer reads; an item
            table adds `duration_s`.
        duration_s: of the audio; known once it is in an item table; 0 without audio.
    """

    id: str
    text: str
    prompt_text: str
    references: tuple[str, ...]
    audio: bytes | None
    choices: dict[str, str] | None = None
    extra: dict[str, JsonValue] = field(default_factory=dict)
    duration_s: float = 0.0
