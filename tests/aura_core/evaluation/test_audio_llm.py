"""With a tiny Qwen2-Audio: real classes, real processor, random weights."""

import pytest
import torch
from transformers import (
    AutoTokenizer,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from aura_core.errors import AuraError
from aura_core.evaluation.models import load_audio_llm
from aura_core.models.llm import source_of

CPU = torch.device("cpu")

MARKS = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


@pytest.fixture(scope="module")
def tiny_qwen2_audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen2-audio")
    tokenizer = AutoTokenizer.from_pretrained(source_of("pinned:smollm2-135m-instruct")[0])
    tokenizer.add_special_tokens({"additional_special_tokens": MARKS})
    tokenizer.chat_template = None
    processor = Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=80), tokenizer)
    processor.chat_template = processor.default_chat_template
    processor.save_pretrained(folder)
    config = Qwen2AudioConfig(
        audio_config={
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 16,
            "num_mel_bins": 80,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vocab_size": len(tokenizer),
        },
        audio_token_index=tokenizer.convert_tokens_to_ids(MARKS[0]),
    )
    torch.manual_seed(0)
    Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


def test_it_is_asked_with_audio_and_answers_alike_in_any_batch(tiny_qwen2_audio, spoken_item):
    model = load_audio_llm(tiny_qwen2_audio, CPU, trust_remote_code=False)
    items = [spoken_item("turn on the lamp"), spoken_item("what time is it in the kitchen")]
    together = model.predict(items, 4)
    assert together == [model.predict([item], 4)[0] for item in items]
    model.first_token(items[0])


def test_the_answer_depends_on_what_is_heard(tiny_qwen2_audio, spoken_item):
    model = load_audio_llm(tiny_qwen2_audio, CPU, trust_remote_code=False)
    heard = []
    hook = model._model.get_input_embeddings().register_forward_hook(
        lambda _m, args, _o: heard.append(args[0].shape[1])
    )
    model.first_token(spoken_item("stop"))
    model.first_token(spoken_item("turn on the big lamp in the kitchen of my house please"))
    hook.remove()
    assert heard[0] < heard[-1]


def test_what_is_no_audio_llm_is_named(tmp_path):
    with pytest.raises(AuraError, match="cannot be loaded as an audio LLM"):
        load_audio_llm(str(tmp_path), CPU, trust_remote_code=False)
    with pytest.raises(AuraError, match="takes no audio"):
        load_audio_llm("pinned:smollm2-135m-instruct", CPU, trust_remote_code=False)
