import pytest
import torch
from safetensors.torch import load, save

from aura_core.student.handover import CtcHandover, CtcHead, TokenStates

WIDTH = 64
PREFIX = [1, 2]
LINE_BREAK = 7


@pytest.fixture
def tokens() -> TokenStates:
    torch.manual_seed(0)
    mean, std = 0.1 * torch.randn(WIDTH), 0.5 + torch.rand(WIDTH)
    return TokenStates([LINE_BREAK, 8, 9], mean + std * torch.randn(3, WIDTH), mean, std)


@pytest.fixture
def head(tokens) -> CtcHead:
    made = CtcHead(tokens)
    torch.nn.init.zeros_(made.blank.weight)
    torch.nn.init.constant_(made.blank.bias, 20.0)
    torch.nn.init.constant_(made.scale, 1.0)
    return made


@pytest.fixture
def handover(head) -> CtcHandover:
    return CtcHandover(head, 1, PREFIX, LINE_BREAK)


def spoken(tokens: TokenStates, classes: list[int]) -> torch.Tensor:
    """Audio states [1, positions, WIDTH] that read as these classes; 0 is a blank."""
    rows = torch.cat([torch.zeros(1, WIDTH), tokens.rows])
    return tokens.restored(rows[classes])[None]


def test_a_tokens_own_state_spells_it_and_repeats_are_one(head, tokens):
    states = spoken(tokens, [1, 1, 2, 0, 2, 3])
    assert head.ctc_decode(states, torch.tensor([6])) == [[7, 8, 8, 9]]
    assert head.ctc_decode(states, torch.tensor([3])) == [[7, 8]]


def test_ctc_prefers_the_transcript_that_is_said(head, tokens):
    states, positions = spoken(tokens, [1, 2, 3]), torch.tensor([3])
    right, wrong = (head(states, positions, [ids]) for ids in ([7, 8, 9], [9, 8, 7]))
    assert right < 0.1
    assert wrong > 5


def test_a_transcript_too_long_for_its_clip_costs_nothing(head, tokens):
    assert head(spoken(tokens, [1]), torch.tensor([1]), [[7, 8, 9]]) == 0


def test_of_a_clip_without_words_blanks_are_asked_as_strongly_as_of_speech(head, tokens):
    head.blank.bias.data.zero_()
    head.scale.data.fill_(0.04)
    states = spoken(tokens, [1, 2, 3, 0, 1, 2, 3, 0]).requires_grad_()
    both = torch.cat([states, states])
    loss = head(both, torch.tensor([8, 5]), [[], []])
    # The sum over a clip's positions, by a token for every four of them.
    blank = head.logits(states).log_softmax(dim=-1)[0, :, 0]
    torch.testing.assert_close(loss, (-blank.sum() / 2 - blank[:5].sum() / 1.25) / 2)
    loss.backward()
    assert torch.isfinite(states.grad).all()
    assert states.grad.abs().sum() > 0
    mixed = head(both, torch.tensor([8, 5]), [[7, 8], []])
    alone = head(states, torch.tensor([8]), [[7, 8]])
    torch.testing.assert_close(mixed, (alone - blank[:5].sum() / 1.25) / 2)


def test_without_words_and_with_too_few_positions_nothing_is_asked_in_vain(head, tokens):
    states = spoken(tokens, [0])
    assert torch.isfinite(head(states, torch.tensor([1]), [[]]))
    assert head(states, torch.tensor([0]), [[]]) == 0


def test_positions_past_the_clips_end_do_not_count(head, tokens):
    states = spoken(tokens, [1, 2, 3])
    padded = torch.cat([states, 50 * torch.ones(1, 4, WIDTH)], dim=1)
    alone = head(states, torch.tensor([3]), [[7, 8, 9]])
    torch.testing.assert_close(head(padded, torch.tensor([3]), [[7, 8, 9]]), alone)


def test_a_token_is_as_likely_at_first_as_it_is_frequent(tokens):
    bias = CtcHead(tokens, [5, 2, 0]).bias
    torch.testing.assert_close(bias.exp(), torch.tensor([8.0, 6.0, 3.0, 1.0]) / 18)


def test_a_slot_stands_for_each_run_of_a_label(handover, tokens):
    slots = handover(spoken(tokens, [0, 1, 1, 0, 2, 3, 3, 3, 0, 3]), torch.tensor([10]))
    assert slots.counts.tolist() == [4]
    assert slots.starts.tolist() == [[1, 4, 5, 9]]
    wanted = tokens.restored(tokens.rows[[0, 1, 2, 2]])
    torch.testing.assert_close(slots.states[0], wanted, atol=0.02, rtol=0.02)


def test_clips_do_not_depend_on_their_batch(handover, tokens):
    long, short = spoken(tokens, [1, 0, 2, 3]), spoken(tokens, [3, 0, 0, 0])
    both = handover(torch.cat([long, short]), torch.tensor([4, 2]))
    assert both.counts.tolist() == [3, 1]
    torch.testing.assert_close(both.states[1, :1], handover(short[:, :2], torch.tensor([2])).flat)
    assert not both.states[1, 1:].any()
    assert both.flat.shape == (4, WIDTH)


@pytest.mark.parametrize("num_positions", [1, 5])
def test_a_clip_without_words_is_one_slot_like_a_line_break(handover, tokens, num_positions):
    slots = handover(spoken(tokens, [0] * 5), torch.tensor([num_positions]))
    assert slots.counts.tolist() == [1]
    torch.testing.assert_close(slots.flat[0], tokens.restored(tokens.rows[0]))


def test_where_nothing_is_heard_there_is_no_slot(handover):
    assert handover(torch.zeros(1, 0, WIDTH), torch.tensor([0])).counts.tolist() == [0]


def test_the_ear_learns_from_what_is_read(handover, tokens):
    # Not so sure of itself that nothing is left to learn.
    torch.nn.init.constant_(handover.head.scale, 0.04)
    torch.nn.init.zeros_(handover.head.blank.bias)
    states = spoken(tokens, [1, 2]).requires_grad_()
    handover(states, torch.tensor([2])).flat.square().sum().backward()
    assert states.grad.abs().sum() > 0
    assert handover.residual.weight.grad.abs().sum() > 0


def test_the_residual_carries_what_is_not_in_the_words(handover, tokens):
    states = spoken(tokens, [1, 2])
    before = handover(states, torch.tensor([2])).flat
    torch.nn.init.eye_(handover.residual.weight)
    after = handover(states, torch.tensor([2])).flat
    heard = tokens.standardise(states[0]) * tokens.std
    torch.testing.assert_close(after - before, heard, atol=1e-4, rtol=1e-4)


def test_it_is_whole_after_saving(handover, tokens):
    torch.nn.init.normal_(handover.residual.weight)
    again = CtcHandover.of_weights(load(save(handover.state_dict())), 1)
    states = spoken(tokens, [1, 0, 2, 3])
    ours, theirs = (each(states, torch.tensor([4])) for each in (handover, again))
    assert torch.equal(ours.flat, theirs.flat)
    assert again.head.ids == handover.head.ids
    assert again.prefix.tolist() == PREFIX
