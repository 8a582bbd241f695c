import json
import math

import jiwer
import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.errors import AuraError
from aura_core.evaluation import bootstrap
from aura_core.evaluation.scorers import transcript
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import score_bleu, score_perplexity, score_wer


def wer_of(*pairs):
    predictions = [
        Prediction(id=str(i), references=(reference,), prediction=output)
        for i, (reference, output) in enumerate(pairs)
    ]
    return score_wer(predictions)["wer"].value


# The example of jiwer's own documentation.
SPOKEN = ["hello world", "i like monthy python"]
HEARD = ["hello duck", "i like python"]


def test_the_published_example_has_the_score_jiwer_gives_it():
    assert (
        wer_of(*zip(SPOKEN, HEARD, strict=True)) == jiwer.wer(SPOKEN, HEARD) == pytest.approx(1 / 3)
    )


_WORD = st.sampled_from(["lamp", "turn", "kitchen", "garage"])
_TEXT = st.lists(_WORD, max_size=6).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(_TEXT.filter(bool), _TEXT), min_size=1, max_size=5))
def test_plain_words_score_as_jiwer_says(pairs):
    spoken, heard = map(list, zip(*pairs, strict=True))
    assert wer_of(*pairs) == pytest.approx(jiwer.wer(spoken, heard))


def test_right_wrong_and_nothing():
    assert wer_of(("Turn it on.", "turn IT on")) == 0
    assert wer_of(("turn it on", "")) == 1
    assert wer_of(("on", "no no no")) == 3
    assert np.isnan(wer_of(("", "words")))


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
    counted = transcript.count_errors([reference], [prediction])
    assert (counted[0][0], counted[1][0]) == (errors, words)


def test_the_sums_give_the_corpus_wer():
    errors, words = transcript.count_errors(["a b c d", "e"], ["a b c d", "f g"])
    np.testing.assert_array_equal(errors, [0, 2])
    assert errors.sum() / words.sum() == pytest.approx(2 / 5)


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


def items(outputs, references, language="de"):
    return [
        Prediction(
            id=str(i), references=tuple(r), prediction=o, extra={"target_language": language}
        )
        for i, (o, r) in enumerate(zip(outputs, references, strict=True))
    ]


# The example of sacrebleu's own README.
REFERENCES = [
    ("The dog bit the man.", "The dog had bit the man."),
    ("It was not unexpected.", "No one was surprised."),
    ("The man bit him first.", "The man had bitten the dog."),
]
OUTPUTS = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]


def test_the_published_example_has_its_published_score():
    assert score_bleu(items(OUTPUTS, REFERENCES))["bleu"].value == pytest.approx(48.53, abs=0.005)


_BLEU_WORD = st.sampled_from(["the", "dog", "man", "bit", "had", ",", "."])
_SENTENCE = st.lists(_BLEU_WORD, max_size=8).map(" ".join)


@given(st.lists(st.tuples(_SENTENCE, _SENTENCE), min_size=1, max_size=6))
def test_a_corpus_scores_what_sacrebleu_says(pairs):
    outputs, references = zip(*pairs, strict=True)
    found = score_bleu(items(outputs, [(r,) for r in references]))["bleu"].value
    if not any(references):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(sacrebleu.corpus_bleu(outputs, [references]).score)


def test_chinese_is_split_into_characters():
    output, reference = (
        "\u6211\u559c\u6b22\u82f9\u679c\u548c\u68a8",
        "\u6211\u559c\u6b22\u82f9\u679c",
    )
    found = score_bleu(items([output], [(reference,)], "zh-CN"))["bleu"].value
    expected = sacrebleu.corpus_bleu([output], [[reference]], tokenize="zh").score
    assert found == pytest.approx(expected)
    assert found > 10 * score_bleu(items([output], [(reference,)], "de"))["bleu"].value


def test_right_empty_and_nothing_at_all():
    assert score_bleu(items(["a b c d e"], [("a b c d e",)]))["bleu"].value == pytest.approx(100)
    assert score_bleu(items([""], [("a b c d e",)]))["bleu"].value == 0
    assert np.isnan(score_bleu([])["bleu"].value)


def test_it_has_an_interval_like_any_other_metric():
    statistic = score_bleu(items(OUTPUTS * 5, REFERENCES * 5))["bleu"]
    found = bootstrap.estimate([statistic], samples=100, seed=0)
    assert found.value == pytest.approx(48.53, abs=0.005)
    assert found.low < found.value < found.high


def test_a_tokeniser_that_is_not_installed_is_named(monkeypatch):
    def refuse(**_settings):
        raise RuntimeError("Japanese tokenization requires extra dependencies")

    monkeypatch.setattr(transcript, "BLEU", refuse)
    transcript._metric.cache_clear()
    with pytest.raises(AuraError, match=r"pip install 'sacrebleu\[ja\]'"):
        score_bleu(items(["a"], [("a",)], "ja"))
