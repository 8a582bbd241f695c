import numpy as np
import pytest

from aura_core.evaluation import wer


@pytest.mark.parametrize(
    ("reference", "prediction", "errors", "words"),
    [
        ("turn on the lamp", "turn on the lamp", 0, 4),
        ("turn on the lamp", "Turn on, the LAMP!", 0, 4),
        ("turn on the lamp", "turn off the lamp", 1, 4),
        ("turn on the lamp", "turn the lamp", 1, 4),
        ("turn on the lamp", "please turn on the big lamp", 2, 4),
        ("twenty minutes", "20 minutes", 0, 2),
        ("the colour", "the color", 0, 2),
        ("turn on", "", 2, 2),
        ("", "two words", 2, 0),
        ("", "", 0, 0),
    ],
)
def test_errors_and_words_of_one_utterance(reference, prediction, errors, words):
    counted = wer.count_errors([reference], [prediction])
    assert (counted[0][0], counted[1][0]) == (errors, words)


def test_the_sums_give_the_corpus_wer():
    errors, words = wer.count_errors(["a b c d", "e"], ["a b c d", "f g"])
    np.testing.assert_array_equal(errors, [0, 2])
    assert errors.sum() / words.sum() == pytest.approx(2 / 5)


def test_an_alignment_names_what_was_done_to_which_words():
    edits = wer.align("turn on the kitchen lamp please", "turn off the lamp please now")
    assert edits == [
        ("equal", "turn", "turn"),
        ("substitute", "on", "off"),
        ("equal", "the", "the"),
        ("delete", "kitchen", ""),
        ("equal", "lamp please", "lamp please"),
        ("insert", "", "now"),
    ]
