from collections import defaultdict

import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from aura_core.corpus.grammar import grammar_text, parse_grammar, words_of
from aura_core.corpus.random_words import (
    distinct_words,
    english_words,
    is_drawn,
    random_words,
)


def test_no_two_words_that_can_be_drawn_sound_alike():
    phonemizer = EspeakPhonemizer()
    heard = defaultdict(set)
    for word in distinct_words(words_of(parse_grammar(grammar_text())) | set(english_words())):
        # Spoken alone, a short word is stressed as it is in no sentence.
        [phonemes] = phonemizer.phonemize("en-us", f"the {word}")
        heard["".join(phonemes).translate(str.maketrans("", "", "ˈˌː"))].add(word)
    assert [words for words in heard.values() if len(words) > 1] == []


def test_the_list_is_what_it_says():
    words = english_words()
    assert len(words) == len(set(words)) > 1600
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_a_share_is_spread_evenly(share):
    chosen = [is_drawn(number, share) for number in range(1000)]
    assert sum(chosen) == pytest.approx(1000 * share, abs=1)
    assert sum(chosen[:100]) == pytest.approx(100 * share, abs=1)


def test_a_sentence_depends_on_its_key_and_is_never_a_taken_one():
    words = ["red", "green", "blue"]
    first = random_words(words, "0:1", set())
    assert random_words(words, "0:1", set()) == first
    again = random_words(words, "0:1", {first})
    assert again != first
    assert set(again.split()) <= set(words)
    assert {len(random_words(words, str(key), set()).split()) for key in range(200)} == {
        3, 4, 5, 6, 7,
    }  # fmt: skip
