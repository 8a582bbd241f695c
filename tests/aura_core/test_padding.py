import torch

from aura_core.padding import valid_positions


def test_as_many_positions_are_valid_as_the_lengths_say():
    assert valid_positions(torch.tensor([2, 0, 3]), 3).tolist() == [
        [True, True, False],
        [False, False, False],
        [True, True, True],
    ]
