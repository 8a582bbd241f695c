"""What benchmarks measure with: the same speech every time, and rounds that take turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from statistics import median
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aura_core.errors import AuraError
from aura_core.ingest.utterances import SAMPLE_RATE, decode_audio, read_table, shuffled

# Utterances of an ingest artifact for a benchmark: the same ones every time.


def sample_rows(ingest_uri: str, split: str, limit: int | None) -> list[dict[str, Any]]:
    """Return rows of a split, in an order that does not follow the corpus, audio included.

    Raises:
        AuraError: if the split holds no utterance.
    """
    rows: list[dict[str, Any]] = read_table(ingest_uri, splits=[split]).to_pylist()
    if not rows:
        raise AuraError(f"{ingest_uri} has no utterance in the split {split}")
    return shuffled(rows)[:limit]


# Enough for the longest batch without much repetition, and little to decode.
_UTTERANCES = 128


@dataclass(frozen=True)
class Clips:
    """A batch of clips of one length, and what is said in each."""

    audios: list[NDArray[np.float32]]  # [samples] at 16 kHz
    texts: list[str]


class Speech:
    """Utterances in a fixed order that does not follow the corpus."""

    def __init__(self, ingest_uri: str) -> None:
        self._rows: Sequence[dict[str, Any]] = sample_rows(ingest_uri, "train", _UTTERANCES)
        self._audio = lru_cache(_UTTERANCES)(self._decode)

    @property
    def texts(self) -> list[str]:
        """Everything that may be said."""
        return [row["text"] for row in self._rows]

    @property
    def audios(self) -> list[NDArray[np.float32]]:
        """Everything as it sounds: float32 [samples] at 16 kHz each."""
        return [self._audio(number) for number in range(len(self._rows))]

    def clips(self, seconds: float, batch: int, number: int) -> Clips:
        """Return the batch of such clips with that number; the same one every time."""
        made = [self._clip(seconds, number * batch + i) for i in range(batch)]
        return Clips([audio for audio, _ in made], [text for _, text in made])

    def _clip(self, seconds: float, first: int) -> tuple[NDArray[np.float32], str]:
        """Speak from an utterance on; of the one that is cut, a like share of its words."""
        missing = round(seconds * SAMPLE_RATE)
        parts: list[NDArray[np.float32]] = []
        words: list[str] = []
        while missing > 0:
            number = (first + len(parts)) % len(self._rows)
            audio, said = self._audio(number), self._rows[number]["text"].split()
            parts.append(audio[:missing])
            words += said[: ceil(len(said) * len(parts[-1]) / len(audio))]
            missing -= len(parts[-1])
        return np.concatenate(parts), " ".join(words)

    def _decode(self, number: int) -> NDArray[np.float32]:
        return decode_audio(self._rows[number]["audio"]["bytes"])


# Rounds in which several are timed in turns, and what is made of their times.

Item = TypeVar("Item")


def in_turns(items: Sequence[Item], number: int) -> list[Item]:
    """The order of a round: it moves on, so that none always follows another."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def median_ratio(theirs_s: Sequence[float], ours_s: Sequence[float]) -> float:
    """Median over rounds: what slows the whole machine for a while is in both times of a round."""
    return median(theirs / ours for theirs, ours in zip(theirs_s, ours_s, strict=True))
