import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.config.benchmarks import SCORER_VERSIONS
from aura_core.errors import AuraError
from aura_core.evaluation.scorers.by_name import SCORERS, find_scorer
from aura_core.evaluation.scorers.scorer import Prediction


def test_every_scorer_has_a_version_and_every_version_a_scorer():
    assert {name: scorer.version for name, scorer in SCORERS.items()} == SCORER_VERSIONS


# The two that ask somebody else have tests of their own.
LOCAL = sorted(SCORERS.keys() - {"judge", "pedant"})
# What each scorer wants to know of an item.
FACTS = {
    "instruction_id_list": ["punctuation:no_comma", "language:response_language"],
    "kwargs": [{}, {"language": "en"}],
    "task": "navigate",
    "target_language": "de",
}
REFERENCE = {"choice": "B", "bbh": "yes", "meaning": "alarm; time=ten"}
CHOICES = {"A": "the dog", "B": "a man", "C": "nine"}
ANSWERS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["B", "The answer is (A).", "yes", "No.", "alarm; time=ten", "a man bit the dog"]
    ),
)


def likelihood(text):
    return json.dumps({"nats": 2.5 * len(text), "tokens": len(text)})


def items(scorer, answers):
    return [
        Prediction(
            id=f"q{i}", references=(REFERENCE.get(scorer, "the dog bit a man"),),
            prediction=likelihood(answer) if scorer == "perplexity" else answer,
            choices=CHOICES, extra=FACTS,
        )
        for i, answer in enumerate(answers)
    ]  # fmt: skip


@pytest.mark.parametrize("name", LOCAL)
@settings(deadline=None, max_examples=25)
@given(st.lists(ANSWERS, min_size=2, max_size=5), st.randoms())
def test_order_and_batches_change_nothing(name, answers, random):
    scorer = SCORERS[name]
    predictions = items(name, answers)
    whole = scorer.score(predictions)
    order = random.sample(range(len(predictions)), len(predictions))
    turned = scorer.score([predictions[i] for i in order])
    apart = [scorer.score([prediction]) for prediction in predictions]
    assert scorer.primary in whole
    for metric, statistic in whole.items():
        np.testing.assert_array_equal(statistic.columns[order], turned[metric].columns)
        joined = np.concatenate([each[metric].columns for each in apart])
        np.testing.assert_array_equal(statistic.columns, joined)
        assert turned[metric].value == pytest.approx(statistic.value, nan_ok=True)


@pytest.mark.parametrize("name", LOCAL)
def test_without_items_there_is_no_figure(name):
    assert all(np.isnan(statistic.value) for statistic in SCORERS[name].score([]).values())


def test_every_scorer_knows_its_own_name():
    assert {name: scorer.name for name, scorer in SCORERS.items()} == {n: n for n in SCORERS}


def test_an_unknown_scorer_is_named_with_those_there_are():
    assert find_scorer("wer") is SCORERS["wer"]
    with pytest.raises(AuraError, match="no scorer 'werr': there are wer, meaning"):
        find_scorer("werr")
