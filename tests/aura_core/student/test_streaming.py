"""A clip pushed in pieces against the same clip at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, DynamicCache, LlamaConfig, LlamaForCausalLM

from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import TrainConfig
from aura_core.errors import AuraError
from aura_core.models.llm import source_of
from aura_core.student.assembly import new_student
from aura_core.student.audio_embedding import new_stem
from aura_core.student.decoding import stream_greedy
from aura_core.student.inference import LogMelExtractor, Responder
from aura_core.student.prompts import ChatFormat, Prompt
from tests.tiny_students import random_handover

SAMPLE_RATE = 16_000
ASKED = "Transcribe."
TOKENS = 5


def responder_of(positions="audio", stem="teacher", floor="fixed", **distillation):
    config = TrainConfig.model_validate(
        {
            "input": "audio",
            "chat_template": SHORT_CHATML,
            "lora": {"rank": 4, "alpha": 8, "blocks": 1, "upper_rank": 2, "positions": positions},
            "audio_embedding": {"log_mel_floor": floor},
            "distillation": distillation,
            "phases": [{"name": "learn", "steps": 1, "ctc": 1}],
        }
    )
    tokenizer = AutoTokenizer.from_pretrained(source_of(config.llm)[0])
    torch.manual_seed(0)
    llm = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
        )
    )  # fmt: skip
    shapes = {
        "conv1.weight": 0.2 * torch.randn(16, 80, 3), "conv1.bias": torch.randn(16),
        "conv2.weight": 0.2 * torch.randn(16, 16, 3), "conv2.bias": torch.randn(16),
        "positional_embedding": torch.randn(150, 16),
    }  # fmt: skip
    student = new_student(config, llm, lambda: new_stem(stem, shapes))
    for name, parameter in student.llm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    chat = ChatFormat(tokenizer, config.chat_template)
    if config.distillation.handover == "ctc":
        student.handover = random_handover(32, chat.prefix)
    student.eval().requires_grad_(False)
    return Responder(student, chat, LogMelExtractor(80)), student


CHUNKED = {"attention": "chunked", "chunk_positions": 4}
RESPONDERS = {
    "gated": responder_of(**CHUNKED),
    "merged": responder_of("all", **CHUNKED),
    "patch": responder_of(stem="patch", **CHUNKED),
    "causal": responder_of(attention="causal"),
    "ctc": responder_of(handover="ctc", **CHUNKED),
    "ctc_causal": responder_of("all", handover="ctc", attention="causal"),
}
NOISE = np.random.default_rng(0).uniform(-1, 1, 3 * SAMPLE_RATE)
# It fades: a floor that follows the clip's loudest moment would lie elsewhere in every piece.
CLIP = (np.geomspace(1e-4, 0.9, len(NOISE)) * NOISE).astype(np.float32)


def at_once(responder, student, clip):
    """The tokens, and the cache after the prompt and the tokens before the last."""
    cache = DynamicCache(config=student.causal_lm.config)
    prompt = Prompt(ASKED, input_features=responder.extract_features([clip])[0])
    tokens = stream_greedy(student, responder.batch([prompt]), max_new_tokens=TOKENS, cache=cache)
    return [int(token) for token in tokens], cache


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(RESPONDERS)),
    length=st.integers(0, len(CLIP)),
    cuts=st.lists(st.integers(0, len(CLIP)), max_size=20),
)
def test_states_and_tokens_are_those_of_the_whole_clip(name, length, cuts):
    responder, student = RESPONDERS[name]
    clip = CLIP[:length]
    expected, whole = at_once(responder, student, clip)
    stream = responder.streaming()
    for piece in np.split(clip, sorted(min(cut, length) for cut in cuts)):
        stream.push(piece)
    assert [int(token) for token in stream.stream(ASKED, TOKENS)] == expected
    assert stream.cache.get_seq_length() == whole.get_seq_length()
    for ours, theirs in zip(stream.cache.layers, whole.layers, strict=True):
        torch.testing.assert_close(ours.keys, theirs.keys, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(ours.values, theirs.values, atol=1e-3, rtol=1e-3)


def test_chunks_are_in_the_cache_before_the_clip_is_over():
    responder, _ = RESPONDERS["gated"]
    stream = responder.streaming()
    before = stream.cache.get_seq_length()
    filled = []
    for at in range(0, SAMPLE_RATE, 800):
        stream.push(CLIP[at : at + 800])
        filled.append(stream.cache.get_seq_length() - before)
    # Four positions are 0.32 s, and the last of them is known some 20 ms after its end.
    assert [(i + 1) / 20 for i in range(1, 20) if filled[i] > filled[i - 1]] == [0.35, 0.7, 1.0]
    assert filled[-1] == 12


def test_slots_are_read_before_the_clip_is_over():
    responder, student = RESPONDERS["ctc"]
    stream = responder.streaming()
    below, above = (stream.cache.layers[block].get_seq_length() for block in (0, 1))
    assert below == above == len(responder._chat.prefix)
    stream.push(CLIP)
    assert stream.cache.layers[0].get_seq_length() == below
    slots = stream.cache.layers[1].get_seq_length() - above
    prompt = Prompt(ASKED, input_features=responder.extract_features([CLIP])[0])
    batch = responder.batch([prompt])
    in_all = student(batch).read.is_audio.sum()
    assert 0.5 * in_all < slots < in_all < batch.is_audio.sum()


def test_an_answer_is_what_the_whole_clip_is_answered():
    responder, _ = RESPONDERS["merged"]
    prompt = Prompt(ASKED, input_features=responder.extract_features([CLIP])[0])
    stream = responder.streaming()
    stream.push(CLIP)
    assert stream.answer(ASKED, 12) == responder.generate([prompt], 12)[0] != ""


@torch.no_grad()
def test_the_gate_is_shut_at_every_text_position():
    """With LoRA at text positions as well, the prefix's keys in the cache would differ."""
    gated, everywhere = (RESPONDERS[name][0].streaming().cache for name in ("gated", "merged"))
    base = RESPONDERS["gated"][1].llm.get_base_model()
    ids = torch.tensor([RESPONDERS["gated"][0]._chat.prefix])
    plain = DynamicCache(config=base.config)
    with RESPONDERS["gated"][1]._gate.over(None):
        base.model(input_ids=ids, past_key_values=plain, use_cache=True)
    assert torch.equal(gated.layers[1].keys, plain.layers[1].keys)
    assert not torch.equal(everywhere.layers[1].keys, plain.layers[1].keys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "bidirectional"}, r"attention=chunked"),
        ({**CHUNKED, "floor": "clip"}, r"log_mel_floor=fixed"),
    ],
)
def test_a_student_that_needs_the_end_of_the_clip_is_refused(changes, message):
    with pytest.raises(AuraError, match=message):
        responder_of(**changes)[0].streaming()


def test_a_stream_longer_than_what_can_be_heard_is_refused():
    stream = RESPONDERS["gated"][0].streaming()
    stream.push(CLIP)
    with pytest.raises(AuraError, match="at most 3 s are heard"):
        stream.push(CLIP[:SAMPLE_RATE])
