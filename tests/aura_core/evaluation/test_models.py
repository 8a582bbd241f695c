import json
from itertools import chain

import pytest
import torch
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from aura_core.benchmarks.embedded_texts import texts_of
from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import ADAPTER, TrainConfig
from aura_core.errors import AuraError
from aura_core.evaluation.items import Item
from aura_core.evaluation.models import BATCH_ITEMS, TEXT_TASKS, load_audio_llm, predict, read
from aura_core.models.llm import load_llm, source_of
from aura_core.student.assembly import merge_adapter, new_student, save_student
from aura_core.student.audio_embedding import MelPairs
from aura_core.student.inference import load_base, load_responder
from aura_core.student.prompts import Prompt

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


CPU = torch.device("cpu")

SETS = {"answer": "text_instructions", "choose": "text_choice", "perplexity": "text_perplexity"}


@pytest.fixture(scope="module")
def tiny_llm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llm")
    tokenizer = AutoTokenizer.from_pretrained(source_of("pinned:smollm2-135m-instruct")[0])
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def llms(request, tmp_path_factory, tiny_llm):
    """The base, the text LoRA's LLM, and the students that start from it, as they are loaded."""
    root = tmp_path_factory.mktemp(request.param)

    def make(name, positions, text_lora=None):
        config = TrainConfig.model_validate(
            {
                "input": "audio" if text_lora else "text",
                "llm": tiny_llm,
                "chat_template": SHORT_CHATML,
                "lora": {"rank": 4, "alpha": 8, "blocks": 1, "upper_rank": 2,
                         "positions": positions},
                "phases": [{"name": "learn", "steps": 1, "distil": 0}],
                "precision": request.param,
            }
        )  # fmt: skip
        llm, _ = load_llm(tiny_llm, torch.float32)
        if text_lora:
            llm = merge_adapter(llm, text_lora / ADAPTER)
        student = new_student(config, llm, (lambda: MelPairs(80)) if text_lora else None)
        for parameter_name, parameter in student.llm.named_parameters():
            if "lora_B" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.3)
        save_student(student, config, root / name, str(text_lora) if text_lora else None)
        return root / name

    text_lora = make("text_lora", "all")
    students = {
        name: make(name, at, text_lora) for name, at in (("gated", "audio"), ("merged", "all"))
    }
    return {
        "base": load_base(str(text_lora), CPU),
        "text": load_responder(str(text_lora), CPU),
        **{name: load_responder(str(folder), CPU) for name, folder in students.items()},
    }


def items_of(reading, count=5):
    return [
        Item(each.id, each.prompt_text, each.references, each.text, 0.0, None,
             choices=each.choices, extra=each.extra)
        for each in texts_of(SETS[reading])[:count]
    ]  # fmt: skip


@torch.no_grad()
def logits(llm):
    batch = llm.batch(
        [Prompt("Answer.", text="Who was it?"), Prompt("", text="A longer text here.")]
    )
    return llm._student.logits(llm._student(batch).last)


def test_logits_of_a_gated_student_are_bit_for_bit_the_text_llms(llms):
    found = {name: logits(llm) for name, llm in llms.items()}
    assert torch.equal(found["gated"], found["text"])
    assert not torch.equal(found["merged"], found["text"])
    assert not torch.equal(found["base"], found["text"])


@pytest.mark.parametrize("reading", TEXT_TASKS)
def test_a_gated_student_reads_as_the_text_llm_and_a_merged_one_does_not(llms, reading):
    found = {name: read(llm, reading, items_of(reading), 8) for name, llm in llms.items()}
    assert found["gated"] == found["text"]
    assert found["merged"] != found["text"]
    assert found["base"] != found["text"]


def test_the_letter_chosen_is_the_likeliest(llms):
    [item] = items_of("choose", 1)
    llm = llms["base"]
    prompt = Prompt(item.instruction, text=item.text)
    batch = llm.batch([prompt])
    last = llm._student.logits(llm._student(batch).last)[0, -1]
    letters = {letter: last[llm._chat.text(letter)[0]].item() for letter in item.choices}
    assert read(llm, "choose", [item], 1) == [max(letters, key=letters.get)]


def test_a_texts_likelihood_is_of_the_tokens_after_its_first(llms):
    items = items_of("perplexity", 3)
    found = [json.loads(each) for each in read(llms["text"], "perplexity", items, 1)]
    for item, said in zip(items, found, strict=True):
        assert said["tokens"] == len(llms["text"]._chat.text(item.text)) - 1
        assert said["nats"] > 0


class Echo:
    """Stands for a model: answers with the item's text, and notes its batches."""

    def __init__(self):
        self.batches = []

    def predict(self, items, max_new_tokens):
        self.batches.append([item.duration_s for item in items])
        return [item.text for item in items]


def test_answers_keep_the_order_of_items_that_are_batched_by_length():
    count = 2 * BATCH_ITEMS + 16
    durations = [float(7 * i % 40) for i in range(count)]
    items = [Item(str(i), "", ("",), f"text {i}", d, b"") for i, d in enumerate(durations)]
    model = Echo()
    assert predict(model, items, 4) == [item.text for item in items]
    assert [len(batch) for batch in model.batches] == [BATCH_ITEMS, BATCH_ITEMS, 16]
    assert list(chain(*model.batches)) == sorted(durations, reverse=True)
