import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from aura_core.errors import AuraError
from aura_core.evaluation import bootstrap
from aura_core.evaluation.scorers import transcript
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import score_bleu


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


_WORD = st.sampled_from(["the", "dog", "man", "bit", "had", ",", "."])
_SENTENCE = st.lists(_WORD, max_size=8).map(" ".join)


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
