from itertools import combinations

import pytest
import torch

from aura_core.distillation.similarity import linear_cka, most_similar_map


def test_cka_is_blind_to_rotation_scale_and_shift():
    states = torch.randn(40, 6)
    rotation = torch.linalg.qr(torch.randn(6, 6)).Q
    assert float(linear_cka(states, 3 * states @ rotation + 5)) == pytest.approx(1, abs=1e-5)


def test_cka_of_unrelated_states_is_small():
    assert float(linear_cka(torch.randn(2000, 4), torch.randn(2000, 5))) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_the_map_is_the_best_in_order(seed):
    similarity = torch.rand(7, 3, generator=torch.Generator().manual_seed(seed))
    mapped = most_similar_map(similarity, [2, 5, 9])
    best = max(
        combinations(range(6), 2),
        key=lambda pair: float(similarity[pair[0], 0] + similarity[pair[1], 1]),
    )
    assert mapped == {best[0] + 1: 2, best[1] + 1: 5, 7: 9}


def test_fewer_blocks_keep_the_later_layers():
    assert most_similar_map(torch.rand(2, 4), [1, 2, 3, 4]) == {1: 3, 2: 4}
