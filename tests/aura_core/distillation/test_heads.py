import torch

from aura_core.distillation.heads import DistillationHead


def test_a_distillation_head_has_the_targets_width():
    assert DistillationHead(12, 20, bias=True)(torch.randn(2, 5, 12)).shape == (2, 5, 20)


def test_a_head_without_a_bias_gives_nothing_for_nothing():
    nothing = torch.zeros(1, 3, 12)
    assert not DistillationHead(12, 20, bias=False)(nothing).any()
    assert DistillationHead(12, 20, bias=True)(nothing).any()
