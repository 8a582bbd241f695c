import json
import math

import numpy as np
import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import score_perplexity


def prediction(nats, tokens):
    said = json.dumps({"nats": nats, "tokens": tokens})
    return Prediction(id="a", references=("x",), prediction=said)


def test_it_is_per_token_over_all_texts_together():
    found = score_perplexity([prediction(30 * math.log(8), 30), prediction(10 * math.log(2), 10)])
    assert found["perplexity"].value == pytest.approx(2 ** ((30 * 3 + 10) / 40))
    assert found["perplexity"].select([1]).value == pytest.approx(2)


def test_a_text_without_a_second_token_has_none():
    assert np.isnan(score_perplexity([prediction(0.0, 0)])["perplexity"].value)


@pytest.mark.parametrize("said", ["a sentence", "{}", "[1]", '{"nats": null, "tokens": 3}'])
def test_an_answer_in_words_is_an_error(said):
    with pytest.raises(AuraError, match="a: the prediction is no likelihood"):
        score_perplexity([Prediction(id="a", references=("x",), prediction=said)])
