import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from aura_core.student.batch import Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy, log_likelihoods, stream_greedy
from aura_core.student.student import Student

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 40}


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    llm = LlamaForCausalLM(LlamaConfig(num_hidden_layers=2, **SIZES))
    return Student(llm.eval(), None)


def prompts(*texts):
    return collate([Layout([1, 2], 0, list(text), [Continuation([3], [])]) for text in texts])


def streamed(reader, batch, number):
    return torch.stack(list(stream_greedy(reader, batch, max_new_tokens=number)), dim=1).tolist()


def test_a_stream_has_all_tokens_and_an_answer_those_before_the_end_token(reader):
    batch = prompts([5, 6, 7], [8])
    tokens = streamed(reader, batch, 12)
    assert [len(each) for each in tokens] == [12, 12]
    end = tokens[0][4]
    answers = decode_greedy(reader, batch, end_ids=[end], max_new_tokens=12)
    assert answers == [each[: each.index(end)] if end in each else each for each in tokens]


def test_an_answer_does_not_depend_on_its_batch_and_is_transformers_own(reader):
    together = streamed(reader, prompts([5, 6, 7], [8]), 6)
    ids = torch.tensor([[1, 2, 8, 3]])
    assert together[1] == streamed(reader, prompts([8]), 6)[0]
    theirs = reader.llm.generate(ids, max_new_tokens=6, do_sample=False, eos_token_id=None)
    assert together[1] == theirs[0, 4:].tolist()


def test_the_callers_cache_holds_the_prompt_once_the_first_token_is_there(reader):
    cache = DynamicCache(config=reader.llm.config)
    tokens = stream_greedy(reader, prompts([5, 6, 7]), max_new_tokens=3, cache=cache)
    next(tokens)
    assert cache.get_seq_length() == 6
    assert len(list(tokens)) == 2
    assert cache.get_seq_length() == 8


def test_no_tokens_are_none(reader):
    assert decode_greedy(reader, prompts([5]), end_ids=[0], max_new_tokens=0) == [[]]


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 40}
    return Student(LlamaForCausalLM(LlamaConfig(num_hidden_layers=2, **sizes)).eval(), None)


def test_it_is_transformers_own_loss_of_each_sample_alone(student):
    layouts = [
        Layout([1, 2], 0, [5, 6], [Continuation([3], [7, 8, 9])]),
        Layout([], 0, [], [Continuation([4], [5])]),
    ]
    found, counts = log_likelihoods(student, collate(layouts))
    assert counts.tolist() == [3, 1]
    for value, ids, labels in (
        (found[0], [1, 2, 5, 6, 3, 7, 8, 9], [-100] * 5 + [7, 8, 9]),
        (found[1], [4, 5], [-100, 5]),
    ):
        loss = student.llm(torch.tensor([ids]), labels=torch.tensor([labels])).loss
        num_labels = sum(label >= 0 for label in labels)
        assert value.item() == pytest.approx(-loss.item() * num_labels, rel=1e-5)
