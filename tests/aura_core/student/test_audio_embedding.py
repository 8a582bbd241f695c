import pytest
import torch

from aura_core.student.audio_embedding import AudioEmbedding


@pytest.fixture
def embedding() -> AudioEmbedding:
    torch.manual_seed(0)
    return AudioEmbedding(
        num_mels=8, stem_width=16, llm_width=12, max_frames=100, token_rate_hz=12.5
    )


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


def test_load_stem_takes_the_teachers_convolution(embedding):
    weight = torch.randn(16, 8, 3)
    embedding.load_stem({"conv1.weight": weight})
    torch.testing.assert_close(embedding.conv1.weight.data, weight)
