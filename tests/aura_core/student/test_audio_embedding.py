import pytest
import torch

from aura_core.student.audio_embedding import (
    AudioEmbedding,
    ConvStem,
    MelPairs,
    new_stem,
    random_stem,
    stem_like,
)


@pytest.fixture(params=["conv", "patch"])
def embedding(request) -> AudioEmbedding:
    torch.manual_seed(0)
    stem = (
        ConvStem(num_mels=8, width=16, max_frames=100) if request.param == "conv" else MelPairs(8)
    )
    return AudioEmbedding(stem, llm_width=12, token_rate_hz=12.5)


def test_a_clip_does_not_depend_on_its_batch(embedding):
    short, long = torch.randn(37, 8), torch.randn(90, 8)
    alone = embedding(short[None], torch.tensor([37]))
    padded = torch.zeros(2, 90, 8)
    padded[0, :37], padded[1] = short, long
    together = embedding(padded, torch.tensor([37, 90]))
    torch.testing.assert_close(together[0, : alone.shape[1]], alone[0])


@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (8, 1), (9, 2), (200, 25)])
def test_num_tokens_is_what_forward_returns(embedding, frames, tokens):
    lengths = torch.tensor([frames])
    assert int(embedding.num_tokens(lengths)) == tokens
    assert embedding(torch.randn(1, frames, 8), lengths).shape == (1, tokens, 12)


def test_match_scale_gives_the_llm_the_size_it_knows(embedding):
    embedding.match_scale(0.2)
    out = embedding(torch.randn(4, 100, 8), torch.full((4,), 100))
    assert float(out.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.01)


def test_a_stem_starts_from_the_teachers_or_has_its_shape_only():
    teacher = ConvStem(num_mels=8, width=16, max_frames=100).state_dict()
    assert torch.equal(new_stem("teacher", teacher).conv1.weight, teacher["conv1.weight"])
    assert not torch.equal(new_stem("random", teacher).conv1.weight, teacher["conv1.weight"])
    assert new_stem("patch", teacher).width == 16


def test_saved_weights_say_what_stem_they_fit(embedding):
    saved = embedding.state_dict()
    again = AudioEmbedding(stem_like(saved, 12.5), llm_width=12, token_rate_hz=12.5)
    again.load_state_dict(saved)
    mel, lengths = torch.randn(1, 30, 8), torch.tensor([30])
    assert torch.equal(again(mel, lengths), embedding(mel, lengths))


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
