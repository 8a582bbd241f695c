import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from aura_core.distil.setup import ctc_vocabulary, evenly_spaced, resolve_layer_map, token_states
from aura_core.errors import AuraError
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
    chosen = ctc_vocabulary(tokenizer, [[lamp, the], [the]], 1000)
    assert list(chosen.items())[:2] == [(the, 2), (lamp, 1)]
    assert len(chosen) == 1000
    assert not set(chosen) & set(tokenizer.all_special_ids)
    few = ctc_vocabulary(tokenizer, [[lamp, the], [the]], 1)
    assert {the, lamp} < set(few)
    assert len(ctc_vocabulary(tokenizer, [[the]], None)) > 49_000


@pytest.fixture(scope="module")
def pieces(tokenizer):
    return set(ctc_vocabulary(tokenizer, [], 1))


@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_any_word_can_be_spelt_in_pieces(tokenizer, pieces, text):
    # Some bytes are no tokens of this LLM, which cannot write them either.
    assume(tokenizer.decode(tokenizer.encode(text)) == text)
    ids = tokenizer.convert_tokens_to_ids(list("".join(tokenizer.tokenize(text))))
    assert set(ids) <= pieces
    assert tokenizer.decode(ids) == text


def test_four_layers_on_eight_blocks():
    assert evenly_spaced(8, [1, 2, 3, 4]) == {2: 1, 4: 2, 6: 3, 8: 4}


def test_more_layers_than_blocks_keeps_the_later_ones():
    assert evenly_spaced(2, [1, 2, 3, 4]) == {1: 3, 2: 4}


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 32))
def test_the_last_block_always_learns_from_the_last_layer(blocks, layers):
    mapped = evenly_spaced(blocks, range(1, layers + 1))
    assert mapped[blocks] == layers
    assert sorted(mapped.values()) == list(mapped.values())
    assert len(mapped) == min(blocks, layers)


@pytest.mark.parametrize(
    ("layer_map", "message"),
    [
        ({9: 4}, "not among the 8 adapted blocks"),
        ({-1: 1, 8: 4}, "not among the 8 adapted blocks"),
        ({8: 5}, "not in the cache"),
        ({4: 4}, "last adapted block, 8, must be mapped"),
    ],
)
def test_a_map_that_cannot_work_is_refused(layer_map, message):
    with pytest.raises(AuraError, match=message):
        resolve_layer_map(layer_map, 8, [1, 2, 3, 4], lambda: torch.zeros(8, 4))


def test_the_most_similar_map_is_asked_for_only_then():
    alike = torch.eye(8)[:, [2, 3, 5, 7]]
    assert resolve_layer_map("most_similar", 8, [1, 2, 3, 4], lambda: alike) == {
        3: 1, 4: 2, 6: 3, 8: 4,
    }  # fmt: skip
    assert resolve_layer_map("evenly_spaced", 8, [4, 2], pytest.fail) == {4: 2, 8: 4}


def test_one_to_one_maps_every_cached_layer_from_the_embedding_on():
    mapped = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    assert resolve_layer_map("one_to_one", 4, [0, 1, 2, 3, 4], pytest.fail) == mapped
    assert resolve_layer_map("one_to_one", 4, [2, 4], pytest.fail) == {2: 2, 4: 4}
    with pytest.raises(AuraError, match=r"set lora\.blocks to 4"):
        resolve_layer_map("one_to_one", 8, [1, 2, 3, 4], pytest.fail)


def test_what_the_first_layer_is_given_is_mapped_by_name_only():
    assert resolve_layer_map({0: 0, 8: 4}, 8, [0, 4], pytest.fail) == {0: 0, 8: 4}
    assert resolve_layer_map("evenly_spaced", 8, [0, 2, 4], pytest.fail) == {4: 2, 8: 4}
    alike = torch.eye(8)[:, [2, 7]]
    assert resolve_layer_map("most_similar", 8, [0, 2, 4], lambda: alike) == {3: 2, 8: 4}
    with pytest.raises(AuraError, match="the cache has none"):
        resolve_layer_map("evenly_spaced", 8, [0], pytest.fail)
