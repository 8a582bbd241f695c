import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.distil.new_trainer import evenly_spaced, resolve_layer_map
from aura_core.errors import AuraError


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
