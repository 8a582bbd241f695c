import torch

from aura_core.frames import group_frames, valid_positions


def test_as_many_positions_are_valid_as_the_lengths_say():
    assert valid_positions(torch.tensor([2, 0, 3]), 3).tolist() == [
        [True, True, False],
        [False, False, False],
        [True, True, True],
    ]


FRAMES = torch.arange(12, dtype=torch.float).view(1, 6, 2)


def test_stack_concatenates_and_masks_what_is_padding():
    targets, weights = group_frames(FRAMES, torch.tensor([5]), 4, "stack")
    assert targets.shape == weights.shape == (1, 2, 8)
    assert targets[0, 0].tolist() == list(range(8))
    assert targets[0, 1].tolist() == [8, 9, 0, 0, 0, 0, 0, 0]
    assert weights[0, 1].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_mean_averages_valid_frames_only():
    targets, weights = group_frames(FRAMES, torch.tensor([5]), 4, "mean")
    assert targets[0].tolist() == [[3, 4], [8, 9]]
    assert weights.tolist() == [[[1, 1], [1, 1]]]


def test_a_group_of_padding_counts_for_nothing():
    _, weights = group_frames(FRAMES, torch.tensor([4]), 4, "mean")
    assert weights[0, 1].tolist() == [0, 0]


def test_interpolation_takes_the_middle_and_never_what_is_padding():
    targets, weights = group_frames(FRAMES, torch.tensor([5]), 4, "interpolate")
    assert targets[0].tolist() == [[3, 4], [8, 9]]
    assert weights.tolist() == [[[1, 1], [1, 1]]]


def test_interpolation_of_single_frames_changes_nothing():
    targets, _ = group_frames(FRAMES, torch.tensor([6]), 1, "interpolate")
    assert torch.equal(targets, FRAMES)
