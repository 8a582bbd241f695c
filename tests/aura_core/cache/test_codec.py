import pytest
import torch

from aura_core.cache import codec as codecs
from aura_core.cache.codec import fit_codec
from aura_core.config import TeacherCacheConfig
from aura_core.errors import AuraError

WIDTH = 12
LENGTHS = torch.tensor([9, 17, 14])


@pytest.fixture(scope="module")
def states():
    """Three clips whose channels differ in size, and which vary in few directions only."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 17, 3, generator=generator)
    mixing = torch.randn(3, WIDTH, generator=generator)
    sizes = torch.logspace(-1, 2, WIDTH)
    return (hidden @ mixing + 0.01 * torch.randn(3, 17, WIDTH, generator=generator) + 3) * sizes


def fitted(states, **settings):
    return fit_codec([({1: states}, LENGTHS)], TeacherCacheConfig(**settings))


def roundtrip(codec, states):
    """Stored, serialised codec, restored; and the exact targets and their mask."""
    exact, valid = codec.targets(1, states, LENGTHS)
    rows, steps = codec.layers[1].store(exact, codec.dtype)
    again = codecs.from_bytes(codecs.to_bytes(codec))
    return again.layers[1].restore(rows, steps), exact, valid


def test_targets_are_standardised_per_channel(states):
    exact, valid = fitted(states).targets(1, states, LENGTHS)
    assert exact.shape == (int(LENGTHS.sum()), WIDTH)
    assert bool(valid.all())
    torch.testing.assert_close(exact.mean(dim=0), torch.zeros(WIDTH), atol=1e-4, rtol=0)
    torch.testing.assert_close(exact.std(dim=0, correction=0), torch.ones(WIDTH))


@pytest.mark.parametrize(
    ("settings", "largest"),
    [
        ({"dtype": "float32"}, 0),
        ({"dtype": "float16"}, 2e-3),
        ({"dtype": "bfloat16"}, 2e-2),
        ({"dtype": "int8"}, 2e-2),
        ({"dtype": "int8", "int8_scale": "channel"}, 2e-2),
        ({"dtype": "float32", "projection_rank": 12, "projection_frames": 1}, 1e-5),
        ({"dtype": "float32", "projection_rank": 48, "projection_frames": 4}, 1e-5),
    ],
)
def test_what_is_stored_comes_back(states, settings, largest):
    restored, exact, _ = roundtrip(fitted(states, **settings), states)
    assert float((restored - exact).abs().max()) <= largest


def test_a_projection_keeps_the_directions_that_vary(states):
    codec = fitted(states, dtype="float32", projection_rank=3, projection_frames=1)
    restored, exact, _ = roundtrip(codec, states)
    assert codec.layers[1].basis.shape == (3, WIDTH)
    assert float((restored - exact).abs().max()) < 0.1
    coarse = fitted(states, dtype="float32", projection_rank=1, projection_frames=1)
    worse, _, _ = roundtrip(coarse, states)
    assert float((worse - exact).square().mean()) > float((restored - exact).square().mean())


def test_states_of_a_clip_are_never_mixed_with_the_next(states):
    codec = fitted(states, projection_rank=8, projection_frames=4)
    exact, valid = codec.targets(1, states, LENGTHS)
    assert codec.num_rows(LENGTHS).tolist() == [3, 5, 4]
    assert valid.sum(dim=1).tolist() == [4, 4, 1, 4, 4, 4, 4, 1, 4, 4, 4, 2]
    assert not exact.view(12, 4, WIDTH)[~valid].any()


def test_a_lower_rate_averages_the_real_states(states):
    codec = fitted(states, rate_hz=12.5, dtype="float32")
    pooled, lengths = codec.positions(states, LENGTHS)
    assert lengths.tolist() == [3, 5, 4]
    torch.testing.assert_close(pooled[0, 0], states[0, :4].mean(dim=0))
    torch.testing.assert_close(pooled[0, 2], states[0, 8])


def test_decode_returns_a_clips_states(states):
    codec = fitted(states, dtype="int8", projection_rank=8, projection_frames=4)
    exact, _ = codec.targets(1, states, LENGTHS)
    rows, steps = codec.layers[1].store(exact, codec.dtype)
    tensors = {"layer_01": rows[3:8], "layer_01.scale": steps[3:8]}
    decoded = codec.decode(tensors, 1, 17)
    assert decoded.shape == (17, WIDTH)
    expected = codec.layers[1].standardise(states[1])
    assert float(torch.cosine_similarity(decoded, expected, dim=-1).mean()) > 0.98


def test_the_same_sample_gives_the_same_bytes(states):
    settings = {"dtype": "int8", "int8_scale": "channel", "projection_rank": 5}
    first, second = (codecs.to_bytes(fitted(states, **settings)) for _ in range(2))
    assert first == second


def test_a_rank_beyond_the_values_is_refused(states):
    with pytest.raises(AuraError, match="projection_rank 49: there are only 48 values"):
        fitted(states, projection_rank=49)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_flipped_byte_is_refused(states, position):
    data = bytearray(codecs.to_bytes(fitted(states)))
    data[position] ^= 1
    with pytest.raises(AuraError, match=r"codec\.safetensors is damaged"):
        codecs.from_bytes(bytes(data))


def test_a_cut_codec_is_refused(states):
    with pytest.raises(AuraError, match=r"codec\.safetensors is damaged"):
        codecs.from_bytes(codecs.to_bytes(fitted(states))[:-1])
