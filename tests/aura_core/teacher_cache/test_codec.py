import pytest
import torch

from aura_core.config.run import TeacherCacheConfig
from aura_core.errors import AuraError
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.codec import fit_codec

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
    config = TeacherCacheConfig.model_validate({"rate_hz": 50, "dtype": "float16", **settings})
    return fit_codec([({1: states}, LENGTHS)], config)


def exact_rows(codec, states):
    rows, valid = codec.rows(states, LENGTHS)
    return codec.layers[1].standardise(rows) * valid[:, :, None], valid


def roundtrip(codec, states):
    """What comes back from a codec that was serialised itself, and the exact targets."""
    exact, _ = exact_rows(codec, states)
    encoded = codec.encode(1, states, LENGTHS)
    again = codecs.from_bytes(codecs.to_bytes(codec))
    return again.layers[1].restore(encoded.stored, encoded.steps).view_as(exact), exact


def test_targets_are_standardised_per_channel(states):
    exact, valid = exact_rows(fitted(states), states)
    assert exact.shape == (int(LENGTHS.sum()), 1, WIDTH)
    assert bool(valid.all())
    exact = exact.flatten(1)
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
    restored, exact = roundtrip(fitted(states, **settings), states)
    assert float((restored - exact).abs().max()) <= largest


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({"dtype": "int8"}, 0),
        ({"dtype": "int8", "int8_scale": "channel", "rate_hz": 12.5}, 0),
        ({"dtype": "float16", "rate_hz": 12.5}, 0),
        # The order of additions in a product depends on how many rows it has.
        ({"dtype": "float32", "projection_rank": 8, "projection_frames": 4}, 1e-5),
    ],
)
def test_a_bridge_hears_what_the_cache_would_give(states, settings, tolerance):
    codec = fitted(states, **settings)
    encoded = codec.encode(1, states, LENGTHS)
    counts = codec.num_rows(LENGTHS).tolist()
    steps = [None] * 3 if encoded.steps is None else encoded.steps.split(counts)
    heard = codec.restored(1, states, LENGTHS)
    for i, stored in enumerate(encoded.stored.split(counts)):
        tensors = {"layer_01": stored} | ({} if steps[i] is None else {"layer_01.scale": steps[i]})
        cached = codec.decode(tensors, 1, int(LENGTHS[i]))
        torch.testing.assert_close(heard[i], cached, atol=tolerance, rtol=0)


def test_a_projection_keeps_the_directions_that_vary(states):
    codec = fitted(states, dtype="float32", projection_rank=3, projection_frames=1)
    restored, exact = roundtrip(codec, states)
    assert codec.layers[1].basis.shape == (3, WIDTH)
    assert float((restored - exact).abs().max()) < 0.1
    coarse = fitted(states, dtype="float32", projection_rank=1, projection_frames=1)
    worse, _ = roundtrip(coarse, states)
    assert float((worse - exact).square().mean()) > float((restored - exact).square().mean())


def test_states_of_a_clip_are_never_mixed_with_the_next(states):
    codec = fitted(states, projection_rank=8, projection_frames=4)
    exact, valid = exact_rows(codec, states)
    assert codec.num_rows(LENGTHS).tolist() == [3, 5, 4]
    assert valid.sum(dim=1).tolist() == [4, 4, 1, 4, 4, 4, 4, 1, 4, 4, 4, 2]
    assert not exact[~valid].any()


def test_a_lower_rate_averages_the_real_states(states):
    codec = fitted(states, rate_hz=12.5, dtype="float32")
    rows, _ = codec.rows(states, LENGTHS)
    assert codec.num_positions(LENGTHS).tolist() == [3, 5, 4]
    torch.testing.assert_close(rows[0, 0], states[0, :4].mean(dim=0))
    torch.testing.assert_close(rows[2, 0], states[0, 8])


def test_decode_returns_a_clips_states(states):
    codec = fitted(states, dtype="int8", projection_rank=8, projection_frames=4)
    encoded = codec.encode(1, states, LENGTHS)
    tensors = {"layer_01": encoded.stored[3:8], "layer_01.scale": encoded.steps[3:8]}
    decoded = codec.decode(tensors, 1, 17)
    assert decoded.shape == (17, WIDTH)
    expected = codec.layers[1].standardise(states[1])
    assert float(torch.cosine_similarity(decoded, expected, dim=-1).mean()) > 0.98


@pytest.mark.parametrize("frames", [1, 4])
def test_the_error_of_every_state_is_measured(states, frames):
    codec = fitted(states, dtype="int8", projection_rank=4, projection_frames=frames)
    restored, exact = roundtrip(codec, states)
    encoded = codec.encode(1, states, LENGTHS)
    cosine = torch.cosine_similarity(restored, exact, dim=-1)
    torch.testing.assert_close(encoded.cosine, cosine * encoded.valid, atol=1e-5, rtol=1e-5)
    largest = (restored - exact).abs().amax(dim=2) * encoded.valid
    torch.testing.assert_close(encoded.max_abs, largest)
    assert int(encoded.valid.sum()) == int(LENGTHS.sum())


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


def test_raw_states_are_those_that_were_standardised(states):
    layer = fitted(states).layers[1]
    torch.testing.assert_close(layer.raw(layer.standardise(states)), states)
