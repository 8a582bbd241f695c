import pytest
import torch

from aura_core.distillation.token_states import token_states
from aura_core.models.llm import load_llm
from aura_core.student.batch import Layout, collate
from aura_core.student.student import Student

PREFIX = [5, 6]
# Token 20 stands twice, after different words; lengths differ, so there is padding.
TRANSCRIPTS = [[20, 21, 22], [23, 20], [22]]
BLOCK = 2


@pytest.fixture(scope="module")
def student() -> Student:
    llm, _ = load_llm("pinned:smollm2-135m-instruct", torch.float32)
    return Student(llm, None)


@pytest.fixture(scope="module")
def lone_states(student) -> dict[tuple[int, int], torch.Tensor]:
    """(transcript, position) -> state, each transcript read by itself."""
    found = {}
    for number, tokens in enumerate(TRANSCRIPTS):
        with torch.no_grad():
            hidden = student(collate([Layout(PREFIX, 0, tokens, [])]), blocks=(BLOCK,))
        for position in range(len(tokens)):
            found[number, position] = hidden.blocks[BLOCK][0, len(PREFIX) + position]
    return found


def test_a_tokens_row_is_the_mean_of_its_states(student, lone_states):
    tokens = token_states(student, PREFIX, TRANSCRIPTS, BLOCK)
    assert tokens.ids == [20, 21, 22, 23]
    mean_of_20 = (lone_states[0, 0] + lone_states[1, 1]) / 2
    torch.testing.assert_close(tokens.rows[0], tokens.standardise(mean_of_20), atol=1e-3, rtol=1e-3)


def test_standardised_states_have_mean_zero_and_spread_one(student, lone_states):
    tokens = token_states(student, PREFIX, TRANSCRIPTS, BLOCK)
    states = tokens.standardise(torch.stack(list(lone_states.values())))
    assert states.mean(dim=0).abs().max() < 1e-3
    assert (states.std(dim=0, correction=0) - 1).abs().median() < 1e-3
