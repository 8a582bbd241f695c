"""A clip pushed in pieces against the same clip at once."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, DynamicCache, LlamaConfig, LlamaForCausalLM

from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import TrainConfig
from aura_core.errors import AuraError
from aura_core.models.llm import source_of
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.assembly import new_student
from aura_core.student.audio_embedding import (
    FIXED_FLOOR,
    AudioEmbedding,
    ConvStem,
    MelPairs,
    new_stem,
)
from aura_core.student.decoding import stream_greedy
from aura_core.student.inference import LogMelExtractor, Responder
from aura_core.student.prompts import ChatFormat, Prompt
from aura_core.student.streaming import StreamingEmbedding, StreamingLogMel
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


HISS = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
# Loud and quiet in turns, so that the floor under the whole clip lies above what is quiet.
RECORDING = HISS * np.where(np.arange(20_000) // 3000 % 2, 1e-4, 0.8).astype(np.float32)


def streamed(clip, cuts, n_mels):
    stream = StreamingLogMel(n_mels)
    frames = [stream.push(piece) for piece in np.split(clip, cuts)]
    return torch.cat([*frames, stream.finish()])


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 6000),
    cuts=st.lists(st.integers(0, 6000), max_size=8),
    n_mels=st.sampled_from([80, 128]),
)
@example(length=400, cuts=[200], n_mels=80)
@example(length=1639, cuts=[1, 201], n_mels=80)
def test_pieces_of_any_size_are_the_whole_clip_but_for_its_floor(length, cuts, n_mels):
    clip = RECORDING[:length]
    expected = log_mel(clip, n_mels)
    frames = streamed(clip, sorted(min(cut, length) for cut in cuts), n_mels)
    assert frames.shape == expected.shape
    floored = torch.maximum(frames, expected.max() - 2.0)
    torch.testing.assert_close(floored, expected, atol=1e-4, rtol=0)


def test_a_frame_is_there_once_its_window_is():
    stream = StreamingLogMel(80)
    counts = [len(stream.push(HISS[at : at + 40])) for at in range(0, 800, 40)]
    # Frame t ends with sample 160 t + 200, and the first one waits for what is mirrored.
    assert [40 * (i + 1) for i, count in enumerate(counts) if count] == [240, 360, 520, 680]


@pytest.mark.parametrize("n_mels", [80, 128])
def test_samples_within_one_reach_no_bin_of_a_thousand(n_mels):
    """So a floor at 10 ** -5 is never below the clip's own, eight decades under its loudest."""
    loudest = -np.inf
    for period in range(16, 2000, 16):
        square = np.sign(np.sin(2 * np.pi * np.arange(2000) / period + 0.1)).astype(np.float32)
        loudest = max(loudest, float(streamed(square, [], n_mels).max()))
    assert 1.5 < loudest < (3 + 4) / 4
