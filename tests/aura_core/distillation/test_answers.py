import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from aura_core.cache.index import Sample
from aura_core.distillation.answers import Answers
from aura_core.models.llm import load_llm
from aura_core.recipes import SHORT_CHATML
from aura_core.student.prompts import ChatFormat
from aura_core.targets.table import SCHEMA, Targets
from aura_core.train_config import TargetWeights


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    tokenizer: PreTrainedTokenizerBase
    _, tokenizer = load_llm("pinned:smollm2-135m-instruct", torch.float32)
    return ChatFormat(tokenizer, SHORT_CHATML)


def sample(**changes) -> Sample:
    parts = {"key": "a", "text": "turn it on", "instruction": "What?", "response": "switch"}
    return Sample(**{**parts, **changes}, log_mel=torch.zeros(4, 8), layers={})


def own_answer(text: str | None) -> Targets:
    row = {"key": "a", "kind": "self_generated", "response": text, "top_ids": [1, 2] * 3,
           "top_logprobs": [-0.1, -3.0] * 3}  # fmt: skip
    return Targets(pa.Table.from_pylist([row], SCHEMA), top_k=2, instruction="Answer.")


def said(chat, answers) -> list[str]:
    return [chat.decode(answer.continuation.response) for answer in answers]


def test_transcript_and_response_count_alike_by_default(chat):
    answers = Answers(chat, TargetWeights())
    assert said(chat, answers.of(sample())) == ["turn it on", "switch"]
    assert said(chat, answers.of(sample(response=None))) == ["turn it on"]
    assert answers.token_weights(answers.of(sample())) is None


def test_a_kind_without_weight_is_left_out(chat):
    answers = Answers(chat, TargetWeights(transcript=0))
    assert said(chat, answers.of(sample())) == ["switch"]


def test_a_mix_weighs_every_token_of_an_answer(chat):
    answers = Answers(chat, TargetWeights(transcript=0.5, self_generated=2), own_answer("sure"))
    found = answers.of(sample())
    assert said(chat, found) == ["turn it on", "switch", "sure"]
    lengths = [answer.num_tokens for answer in found]
    weights = answers.token_weights(found)
    assert answers.token_weights([]).tolist() == []
    assert weights.tolist() == [0.5] * lengths[0] + [1.0] * lengths[1] + [2.0] * lengths[2]


def test_an_own_answer_that_was_left_out_is_not_learnt(chat):
    answers = Answers(chat, TargetWeights(response=0, self_generated=1), own_answer(None))
    assert said(chat, answers.of(sample())) == ["turn it on"]


def test_the_logits_of_all_answers_stand_in_the_order_of_their_tokens(chat):
    only = TargetWeights(transcript=0, response=0, self_generated=1)
    answers = Answers(chat, only, own_answer("sure"))
    twice = [*answers.of(sample()), *answers.of(sample())]
    ids, logprobs = answers.top_logprobs(twice)
    assert ids.tolist() == [[1, 2]] * 6
    assert logprobs.shape == (6, 2)
    assert Answers(chat, TargetWeights()).top_logprobs([]) == (None, None)
