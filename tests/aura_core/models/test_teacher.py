import torch

from aura_core.models.teacher import random_stem
from aura_core.student.audio_embedding import new_stem


def test_a_random_stem_is_always_the_same_and_has_its_shape():
    torch.manual_seed(3)
    first = random_stem(80, 24, 3000)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), expected)  # the caller's draws are not moved
    second = random_stem(80, 24, 3000)
    assert all(torch.equal(first[name], second[name]) for name in first)
    stem = new_stem("teacher", first)
    assert (stem.num_mels, stem.width, stem.positional_embedding.shape[0]) == (80, 24, 1500)
