import torch

from aura_core.cache.moments import from_bytes, merge, moments_of, to_bytes


def test_merged_moments_are_those_of_all_frames():
    torch.manual_seed(0)
    # A mean far from zero: sums of squares would lose the variance.
    frames = torch.randn(1000, 5, dtype=torch.float64) + 1e6
    total = None
    for chunk in frames.split([1, 99, 500, 400]):
        total = merge(total, moments_of(chunk))
    assert total.count == 1000
    torch.testing.assert_close(total.mean, frames.mean(dim=0))
    torch.testing.assert_close(total.std, frames.std(dim=0, correction=0), rtol=1e-9, atol=0)


def test_bytes_and_back():
    moments = {layer: moments_of(torch.randn(7, 3)) for layer in (2, 12)}
    back = from_bytes(to_bytes(moments))
    assert list(back) == [2, 12]
    for layer, value in moments.items():
        assert back[layer].count == 7
        assert torch.equal(back[layer].mean, value.mean)
        assert torch.equal(back[layer].m2, value.m2)
