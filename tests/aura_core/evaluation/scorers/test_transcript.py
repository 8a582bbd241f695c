import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import score_wer


def wer(*pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=output)
        for i, (reference, output) in enumerate(pairs)
    ]
    return score_wer(predictions)["wer"].value


# The example of jiwer's own documentation.
SPOKEN = ["hello world", "i like monthy python"]
HEARD = ["hello duck", "i like python"]


def test_the_published_example_has_the_score_jiwer_gives_it():
    assert wer(*zip(SPOKEN, HEARD, strict=True)) == jiwer.wer(SPOKEN, HEARD) == pytest.approx(1 / 3)


_WORD = st.sampled_from(["lamp", "turn", "kitchen", "garage"])
_TEXT = st.lists(_WORD, max_size=6).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(_TEXT.filter(bool), _TEXT), min_size=1, max_size=5))
def test_plain_words_score_as_jiwer_says(pairs):
    spoken, heard = map(list, zip(*pairs, strict=True))
    assert wer(*pairs) == pytest.approx(jiwer.wer(spoken, heard))


def test_right_wrong_and_nothing():
    assert wer(("Turn it on.", "turn IT on")) == 0
    assert wer(("turn it on", "")) == 1
    assert wer(("on", "no no no")) == 3
    assert np.isnan(wer(("", "words")))
