from itertools import combinations
from typing import get_args

import pytest
import torch

from aura_core.config.train import DistillationConfig
from aura_core.distil.losses import (
    LOSSES,
    DistillationHead,
    cross_entropy,
    kl_to_top,
    linear_cka,
    moment_loss,
    most_similar_map,
)


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


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


def test_a_config_names_them_all():
    assert set(get_args(DistillationConfig.model_fields["loss"].annotation)) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_states_cost_nothing(name, states):
    assert float(LOSSES[name].function(states, states, torch.ones_like(states))) == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_masked_does_not_matter(name, states):
    weight = torch.ones_like(states)
    weight[:, 3:] = 0
    other = states.clone()
    other[:, 3:] = 100.0
    target = states + 0.5
    expected = LOSSES[name].function(states[:, :3], target[:, :3], weight[:, :3])
    torch.testing.assert_close(LOSSES[name].function(other, target, weight), expected)


def test_cosine_of_opposites_is_two(states):
    loss = LOSSES["cosine"].function(states, -states, torch.ones_like(states))
    assert float(loss) == pytest.approx(2)


def test_cka_compares_states_of_different_widths(states):
    narrow = states @ torch.linalg.qr(torch.randn(8, 8)).Q[:, :4]
    loss = LOSSES["cka"].function(narrow, states, torch.ones_like(states))
    assert 0 < float(loss) < 0.9


def test_mse_is_the_mean_square(states):
    assert float(
        LOSSES["mse"].function(states, states + 2, torch.ones_like(states))
    ) == pytest.approx(4)


def test_moments_of_standardised_states_cost_nothing():
    states = torch.tensor([[[-1.0], [0.0], [1.0]]])
    assert float(moment_loss(states, torch.ones(1, 3, dtype=torch.bool))) == pytest.approx(0)


def test_moments_add_the_squared_shift_and_the_squared_excess_of_spread():
    states = torch.tensor([[[1.0], [3.0], [5.0], [99.0]]])
    valid = torch.tensor([[True, True, True, False]])
    assert float(moment_loss(states, valid)) == pytest.approx(3**2 + (2 - 1) ** 2)


def test_weights_make_cross_entropy_a_weighted_mean():
    logits, labels = torch.randn(5, 7), torch.tensor([0, 1, 2, 3, 4])
    plain = cross_entropy(logits, labels, None)
    torch.testing.assert_close(cross_entropy(logits, labels, torch.full((5,), 3.0)), plain)
    first = cross_entropy(logits, labels, torch.tensor([1.0, 0, 0, 0, 0]))
    torch.testing.assert_close(first, cross_entropy(logits[:1], labels[:1], None))


def test_kl_is_zero_for_the_same_distribution_and_grows_with_the_distance():
    logits = torch.randn(4, 6)
    logprobs, ids = logits.log_softmax(dim=-1).sort(descending=True)
    assert float(kl_to_top(logits, ids, logprobs, None)) == pytest.approx(0, abs=1e-6)
    near, far = (float(kl_to_top(logits + d * torch.randn(4, 6), ids, logprobs, None))
                 for d in (0.1, 2.0))  # fmt: skip
    assert 0 < near < far


def test_kl_of_some_logits_asks_for_their_mass_of_the_student():
    teacher = torch.tensor([[-0.1, -2.4]])
    sure = torch.tensor([[9.0, 6.7, -9.0, -9.0]])
    elsewhere = torch.tensor([[2.0, -0.3, 9.0, 9.0]])
    ids = torch.tensor([[0, 1]])
    assert float(kl_to_top(sure, ids, teacher, None)) < 0.01
    assert float(kl_to_top(elsewhere, ids, teacher, torch.ones(1))) > 5


def test_a_distillation_head_has_the_targets_width():
    assert DistillationHead(12, 20, bias=True)(torch.randn(2, 5, 12)).shape == (2, 5, 20)


def test_a_head_without_a_bias_gives_nothing_for_nothing():
    nothing = torch.zeros(1, 3, 12)
    assert not DistillationHead(12, 20, bias=False)(nothing).any()
    assert DistillationHead(12, 20, bias=True)(nothing).any()
