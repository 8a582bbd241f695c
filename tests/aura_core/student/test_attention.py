import torch

from aura_core.student.attention import PADDING, attention_mask, positions

# prefix, two audio positions, two branches of two, padding
BRANCH = torch.tensor([[0, 0, 0, 1, 1, 2, 2, PADDING]])
IS_AUDIO = torch.tensor([[0, 1, 1, 0, 0, 0, 0, 0]]).bool()


def test_audio_sees_audio_both_ways_and_text_stays_causal():
    mask = attention_mask(BRANCH, IS_AUDIO, None)[0, 0]
    assert mask[1, 2]
    assert mask[2, 1]
    assert not mask[0, 1]
    assert not mask[3, 4]


def test_causal_audio_does_not_look_ahead():
    mask = attention_mask(BRANCH, IS_AUDIO, 1)[0, 0]
    assert not mask[1, 2]
    assert mask[2, 1]


def test_a_chunk_sees_itself_and_what_was_before():
    audio = torch.tensor([[0, 1, 1, 1, 1, 0]]).bool()
    mask = attention_mask(torch.zeros(1, 6, dtype=torch.long), audio, 2)[0, 0]
    assert mask[1].tolist() == [True, True, True, False, False, False]
    assert mask[3].tolist() == [True, True, True, True, True, False]
    assert mask[5].all()


def test_a_branch_sees_the_shared_part_and_itself_only():
    mask = attention_mask(BRANCH, IS_AUDIO, None)[0, 0]
    assert mask[6].tolist() == [True, True, True, False, False, True, True, False]


def test_nobody_sees_padding_and_no_row_is_empty():
    mask = attention_mask(BRANCH, IS_AUDIO, None)[0, 0]
    assert not mask[:7, 7].any()
    assert mask.any(dim=-1).all()


def test_every_branch_goes_on_where_the_shared_part_ends():
    assert positions(BRANCH)[0, :7].tolist() == [0, 1, 2, 3, 4, 3, 4]


def test_two_clips_are_chunked_apart_and_the_first_does_not_hear_the_second():
    audio = torch.tensor([[1, 1, 1, 0, 1, 1, 1]]).bool()
    shared = torch.zeros(1, 7, dtype=torch.long)
    whole = attention_mask(shared, audio, None)[0, 0]
    assert whole[0].tolist() == [True, True, True, False, False, False, False]
    assert whole[4].all()
    chunked = attention_mask(shared, audio, 2)[0, 0]
    # Chunks of the second clip start with it: {4, 5}, {6}.
    assert chunked[4].tolist() == [True, True, True, True, True, True, False]
    assert chunked[2].tolist() == [True, True, True, False, False, False, False]
