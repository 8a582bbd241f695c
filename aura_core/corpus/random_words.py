"""Sentences of words drawn at random, for the training split of the demo corpus.

From requests alone an ear learns which word comes next; from words without an order it has to
learn how each one sounds.
"""

from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files

import xxhash
import yaml

MIN_WORDS, MAX_WORDS = 3, 7
# Out of context nobody can tell them from `two`, `four` and `buy`.
_SOUND_LIKE_OTHERS = frozenset({"to", "for", "by"})


def english_words_text() -> str:
    """The source of the list of common English words."""
    return files(__package__).joinpath("english_words.yaml").read_text(encoding="utf-8")


@cache
def english_words() -> tuple[str, ...]:
    """The list's words; no two sound alike."""
    topics: dict[str, str] = yaml.safe_load(english_words_text())
    return tuple(word for words in topics.values() for word in words.split())


def distinct_words(words: Collection[str]) -> list[str]:
    """What can be drawn of `words`: each once, none that is heard as another, in order."""
    return sorted(set(words) - _SOUND_LIKE_OTHERS)


def is_drawn(number: int, share: float) -> bool:
    """Whether `number` is among the `share` of all numbers that are drawn: they are spread evenly.

    Of the first `n` numbers, `int(n * share)` are.
    """
    return int((number + 1) * share) > int(number * share)


def random_words(words: Sequence[str], key: str, taken: Collection[str]) -> str:
    """Draw a sentence that is not in `taken`; it depends on `key` and `words` alone."""
    attempt = 0
    while True:
        count = MIN_WORDS + _draw(f"{key}:{attempt}", MAX_WORDS - MIN_WORDS + 1)
        drawn = (_draw(f"{key}:{attempt}:{place}", len(words)) for place in range(count))
        text = " ".join(words[number] for number in drawn)
        if text not in taken:
            return text
        attempt += 1


def _draw(key: str, choices: int) -> int:
    return xxhash.xxh3_64_intdigest(key.encode()) % choices
