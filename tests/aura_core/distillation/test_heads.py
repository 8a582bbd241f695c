import torch

from aura_core.distillation.heads import DistillationHead


def test_a_distillation_head_has_the_targets_width():
    assert DistillationHead(12, 20)(torch.randn(2, 5, 12)).shape == (2, 5, 20)
