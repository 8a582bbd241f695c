import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.errors import AuraError
from aura_core.student.audio_embedding import FIXED_FLOOR, AudioEmbedding, ConvStem, MelPairs
from aura_core.student.streaming import StreamingEmbedding

MELS, FRAMES = 8, 200


def embedding_of(kind, token_rate_hz=12.5):
    torch.manual_seed(0)
    stem = ConvStem(MELS, width=16, max_frames=FRAMES // 2) if kind == "conv" else MelPairs(MELS)
    made = AudioEmbedding(stem, llm_width=12, token_rate_hz=token_rate_hz, fixed_floor=True)
    if kind == "conv":
        torch.nn.init.normal_(stem.positional_embedding)
    return made.requires_grad_(False)


EMBEDDINGS = {
    (kind, rate): embedding_of(kind, rate) for kind in ("conv", "patch") for rate in (25, 12.5)
}
LOG_MEL = torch.randn(FRAMES, MELS, generator=torch.Generator().manual_seed(1)) - 0.5


@settings(max_examples=80, deadline=None)
@given(
    which=st.sampled_from(sorted(EMBEDDINGS)),
    length=st.integers(1, FRAMES),
    sizes=st.lists(st.integers(0, 40), max_size=12),
)
def test_pieces_of_any_size_are_the_whole_clip(which, length, sizes):
    embedding, log_mel = EMBEDDINGS[which], LOG_MEL[:length]
    expected = embedding(log_mel[None], torch.tensor([length]))[0]
    stream, parts = StreamingEmbedding(embedding), []
    for size in sizes:
        parts.append(stream.push(log_mel[:size]))
        log_mel = log_mel[size:]
    parts += [stream.push(log_mel), stream.finish()]
    torch.testing.assert_close(torch.cat(parts), expected, atol=1e-5, rtol=1e-5)


def test_a_position_is_there_one_frame_after_its_own():
    stream = StreamingEmbedding(EMBEDDINGS["conv", 12.5])
    counts = [len(stream.push(LOG_MEL[at : at + 1])) for at in range(30)]
    assert [at + 1 for at, count in enumerate(counts) if count] == [9, 17, 25]


def test_a_fixed_floor_is_heard_and_is_off_by_default():
    embedding = EMBEDDINGS["patch", 12.5]
    length = torch.tensor([FRAMES])
    floored = LOG_MEL.clamp(min=FIXED_FLOOR)
    assert not torch.equal(floored, LOG_MEL)
    plain = AudioEmbedding(embedding.stem, llm_width=12, token_rate_hz=12.5)
    plain.load_state_dict(embedding.state_dict())
    expected = plain(floored[None], length)
    assert torch.equal(embedding(LOG_MEL[None], length), expected)
    assert not torch.equal(plain(LOG_MEL[None], length), expected)


def test_a_clip_longer_than_the_positions_is_refused():
    stream = StreamingEmbedding(EMBEDDINGS["conv", 12.5])
    stream.push(LOG_MEL)
    with pytest.raises(AuraError, match=r"at most 2 s are heard"):
        stream.push(LOG_MEL[:20])
