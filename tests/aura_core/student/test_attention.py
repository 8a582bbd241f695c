import pytest
import torch

from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import LoraConfig, Phase, TrainConfig
from aura_core.models.llm import load_llm
from aura_core.student.assembly import new_student
from aura_core.student.attention import PADDING, attention_mask, make_position_ids
from aura_core.student.audio_embedding import new_stem
from aura_core.student.batch import Continuation, Layout, collate

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
    assert make_position_ids(BRANCH)[0, :7].tolist() == [0, 1, 2, 3, 4, 3, 4]


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


PROMPT = Layout([1, 2], 0, [30, 31, 32], [Continuation([10, 11], [])])
CLIP = Layout([1, 2], 5, [], [Continuation([10, 11], [])])


@pytest.fixture(scope="module")
def stem():
    torch.manual_seed(0)
    return {
        "conv1.weight": torch.randn(16, 8, 3),
        "conv1.bias": torch.zeros(16),
        "conv2.weight": torch.randn(16, 16, 3),
        "conv2.bias": torch.zeros(16),
        "positional_embedding": torch.zeros(100, 16),
    }


def student(stem, positions, *, scrambled):
    """A student of the pinned LLM whose LoRA changes every state it touches."""
    config = TrainConfig(
        input="audio",
        chat_template=SHORT_CHATML,
        lora=LoraConfig(rank=4, alpha=4, blocks=2, upper_rank=2, positions=positions),
        phases=(Phase(name="learn", steps=1),),
    )
    llm, _ = load_llm(config.llm, torch.float32)
    made = new_student(config, llm, lambda: new_stem("teacher", stem))
    if scrambled:
        for name, parameter in made.llm.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    return made


@torch.no_grad()
def last_states(made, layout, mel=None):
    return made(collate([layout], mel)).last[0]


def test_text_alone_is_the_base_llms_bit_for_bit(stem):
    base = last_states(student(stem, "audio", scrambled=False), PROMPT)
    assert torch.equal(last_states(student(stem, "audio", scrambled=True), PROMPT), base)
    assert not torch.equal(last_states(student(stem, "all", scrambled=True), PROMPT), base)


def test_audio_goes_through_lora_and_what_comes_before_it_does_not(stem):
    mel = [torch.randn(40, 8, generator=torch.Generator().manual_seed(1))]
    base = last_states(student(stem, "audio", scrambled=False), CLIP, mel)
    gated = last_states(student(stem, "audio", scrambled=True), CLIP, mel)
    assert torch.equal(gated[:2], base[:2])
    assert (gated[2:7] - base[2:7]).abs().amax(dim=1).min() > 0.1


def test_lora_is_computed_where_audio_is_and_nowhere_else(stem):
    made = student(stem, "audio", scrambled=False)
    rows = set()
    for name, module in made.llm.named_modules():
        if "lora_" in name and name.endswith("default"):
            module.register_forward_hook(lambda *call: rows.add(call[2].shape[0]))
    mel = [torch.randn(frames, 8) for frames in (40, 24)]
    shorter = Layout([1, 2, 3], 3, [], [Continuation([10], [])])
    made(collate([CLIP, shorter], mel))
    assert rows == {5 + 3}


@torch.no_grad()
def test_nothing_heard_and_no_lora_computed_are_one_bit_for_bit(stem):
    made = student(stem, "audio", scrambled=True)
    embeddings = made.decoder.embed_tokens(torch.tensor([[5, 6, 7]]))
    computed = []
    for name, module in made.llm.named_modules():
        if name.endswith("lora_B.default"):
            module.register_forward_hook(lambda *_: computed.append(1))
    given = {
        "mask": torch.ones(1, 1, 3, 3, dtype=torch.bool).tril(),
        "position_ids": torch.arange(3)[None],
    }
    nowhere = torch.zeros(1, 3, dtype=torch.bool)
    closed, _ = made.run(embeddings, range(made.num_blocks), is_audio=nowhere, **given)
    assert computed
    computed.clear()
    open_nowhere, _ = made.run(embeddings, range(made.num_blocks), is_audio=None, **given)
    assert torch.equal(open_nowhere, closed)
    assert not computed


def test_an_adapter_used_past_the_gate_is_an_error(stem):
    made = student(stem, "audio", scrambled=True)
    with pytest.raises(AssertionError, match=r"Student\.run"):
        made.llm(input_ids=torch.tensor([[1, 2, 3]]))
