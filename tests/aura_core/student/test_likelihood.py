import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from aura_core.student.batch import Continuation, Layout, collate
from aura_core.student.likelihood import log_likelihoods
from aura_core.student.student import Student


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
