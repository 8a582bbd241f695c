import pytest
import torch

from aura_core.distillation.heads import CtcHead, DistillationHead
from aura_core.distillation.token_states import TokenStates

WIDTH = 64


@pytest.fixture
def tokens() -> TokenStates:
    torch.manual_seed(0)
    return TokenStates([7, 8, 9], torch.randn(3, WIDTH), torch.zeros(WIDTH), torch.ones(WIDTH))


@pytest.fixture
def head(tokens) -> CtcHead:
    made = CtcHead(tokens)
    torch.nn.init.zeros_(made.blank.weight)
    torch.nn.init.constant_(made.scale, 1.0)
    return made


def test_a_tokens_own_state_spells_it(head, tokens):
    spelled = head.logits(tokens.rows[None]).argmax(dim=-1)
    assert spelled.tolist() == [[1, 2, 3]]


def test_ctc_prefers_the_transcript_that_is_said(head, tokens):
    states, positions = tokens.rows[None], torch.tensor([3])
    right, wrong = (head(states, positions, [ids]) for ids in ([7, 8, 9], [9, 8, 7]))
    assert right < 0.1
    assert wrong > 5


def test_a_transcript_too_long_for_its_clip_costs_nothing(head, tokens):
    assert head(tokens.rows[None, :1], torch.tensor([1]), [[7, 8, 9]]) == 0


def test_positions_past_the_clips_end_do_not_count(head, tokens):
    padded = torch.cat([tokens.rows, 50 * torch.ones(4, WIDTH)])[None]
    alone = head(tokens.rows[None], torch.tensor([3]), [[7, 8, 9]])
    torch.testing.assert_close(head(padded, torch.tensor([3]), [[7, 8, 9]]), alone)


def test_a_distillation_head_has_the_targets_width():
    assert DistillationHead(12, 20)(torch.randn(2, 5, 12)).shape == (2, 5, 20)
