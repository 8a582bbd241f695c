import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from aura_core.distil.token_states import spelling_tokens, token_states
from aura_core.models.llm import load_llm, source_of
from aura_core.student.student import Student

PREFIX = [5, 6]
# Token 20 stands twice, after different words; lengths differ, so there is padding.
TRANSCRIPTS = [[20, 21, 22], [23, 20], [22]]
BLOCK = 2
LLM = "pinned:smollm2-135m-instruct"


@pytest.fixture(scope="module")
def student() -> Student:
    return Student(load_llm(LLM, torch.float32)[0], None)


@pytest.fixture(scope="module")
def lone_states(student) -> dict[tuple[int, int], torch.Tensor]:
    """(transcript, position) -> state, each transcript read by itself."""
    found = {}
    for number, tokens in enumerate(TRANSCRIPTS):
        with torch.no_grad():
            ids = torch.tensor([[*PREFIX, *tokens]])
            states = student.llm.model(ids, output_hidden_states=True).hidden_states[BLOCK]
        for position in range(len(tokens)):
            found[number, position] = states[0, len(PREFIX) + position]
    return found


def test_a_tokens_row_is_the_mean_of_its_states(student, lone_states):
    tokens = token_states(student, PREFIX, TRANSCRIPTS, BLOCK, [20, 21, 22, 23])
    mean_of_20 = (lone_states[0, 0] + lone_states[1, 1]) / 2
    torch.testing.assert_close(tokens.rows[0], tokens.standardise(mean_of_20), atol=1e-3, rtol=1e-3)


def test_standardised_states_have_mean_zero_and_spread_one(student, lone_states):
    tokens = token_states(student, PREFIX, TRANSCRIPTS, BLOCK, [20, 21, 22, 23])
    states = tokens.standardise(torch.stack(list(lone_states.values())))
    assert states.mean(dim=0).abs().max() < 1e-3
    assert (states.std(dim=0, correction=0) - 1).abs().median() < 1e-3


def test_a_token_of_no_transcript_has_the_state_it_has_alone(student):
    tokens = token_states(student, PREFIX, TRANSCRIPTS, BLOCK, [20, 21, 22, 23, 99])
    with torch.no_grad():
        alone = student.llm.model(torch.tensor([[*PREFIX, 99]]), output_hidden_states=True)
    expected = tokens.standardise(alone.hidden_states[BLOCK][0, -1])
    torch.testing.assert_close(tokens.rows[4], expected, atol=1e-3, rtol=1e-3)
    without = token_states(student, PREFIX, TRANSCRIPTS, BLOCK, [20, 21, 22, 23])
    torch.testing.assert_close(tokens.mean, without.mean)
    torch.testing.assert_close(tokens.std, without.std)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(source_of(LLM)[0])


def test_what_is_said_comes_first_and_then_pieces_and_the_vocabulary(tokenizer):
    lamp, the = tokenizer.encode(" lamp")[0], tokenizer.encode(" the")[0]
    chosen = spelling_tokens(tokenizer, [[lamp, the], [the]], 1000)
    assert list(chosen.items())[:2] == [(the, 2), (lamp, 1)]
    assert len(chosen) == 1000
    assert not set(chosen) & set(tokenizer.all_special_ids)
    few = spelling_tokens(tokenizer, [[lamp, the], [the]], 1)
    assert {the, lamp} < set(few)
    assert len(spelling_tokens(tokenizer, [[the]], None)) > 49_000


@pytest.fixture(scope="module")
def pieces(tokenizer):
    return set(spelling_tokens(tokenizer, [], 1))


@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_any_word_can_be_spelt_in_pieces(tokenizer, pieces, text):
    # Some bytes are no tokens of this LLM, which cannot write them either.
    assume(tokenizer.decode(tokenizer.encode(text)) == text)
    ids = tokenizer.convert_tokens_to_ids(list("".join(tokenizer.tokenize(text))))
    assert set(ids) <= pieces
    assert tokenizer.decode(ids) == text
