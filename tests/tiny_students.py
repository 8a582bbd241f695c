"""Students with random weights that take no time, of the pinned LLM's tokenizer."""

import pytest

VOCABULARY = 49152


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory):
    """Folder of a random Llama of two blocks, with the pinned LLM's tokenizer."""
    return random_llama(tmp_path_factory.mktemp("llm"), num_hidden_layers=2)


@pytest.fixture(scope="session")
def five_blocks(tmp_path_factory):
    """The same of five blocks, four to adapt and one above them."""
    return random_llama(tmp_path_factory.mktemp("llm-of-five"), num_hidden_layers=5)


def random_llama(folder, num_hidden_layers):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from aura_core.models.llm import load_llm

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64,
        num_hidden_layers=num_hidden_layers, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    load_llm("pinned:smollm2-135m-instruct", torch.float32)[1].save_pretrained(folder)
    return folder


def inputs_about(processor, audio, instruction="Transcribe."):
    """What an exported model's processor makes of a clip at 16 kHz and what is asked about it."""
    content = [{"type": "audio"}, {"type": "text", "text": instruction}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    return processor(text, audio=audio, sampling_rate=16000)


def random_handover(width, prefix=(1, 4093, 198)):
    """A hand-over after the first block, whose CTC finds words, repeats and blanks in noise."""
    import torch

    from aura_core.student.handover import CtcHandover, CtcHead, TokenStates

    ids = [198, *range(500, 540)]
    states = TokenStates(
        ids, 2 * torch.randn(len(ids), width), 0.1 * torch.randn(width), 0.5 + torch.rand(width)
    )
    handover = CtcHandover(CtcHead(states), 1, prefix, ids[0])
    torch.nn.init.constant_(handover.head.scale, 0.05)
    torch.nn.init.constant_(handover.head.blank.bias, 0.5)
    torch.nn.init.normal_(handover.residual.weight, std=0.1)
    return handover


@pytest.fixture(scope="session")
def artifact_of(tmp_path_factory, tiny_llm):
    """Make a random student as a distil stage saves it: `artifact_of(positions=..., ...)`."""
    import torch

    from aura_core.config.recipes import SHORT_CHATML
    from aura_core.config.train import TrainConfig
    from aura_core.models.llm import load_llm
    from aura_core.student.assembly import new_student, save_student
    from aura_core.student.audio_embedding import new_stem

    def make(positions="audio", stem="random", floor="clip", **distillation):
        config = TrainConfig.model_validate(
            {
                "input": "audio",
                "llm": str(tiny_llm),
                "chat_template": SHORT_CHATML,
                "lora": {"rank": 4, "alpha": 8, "blocks": 1, "upper_rank": 2,
                         "positions": positions},
                "audio_embedding": {"stem": stem, "log_mel_floor": floor},
                "distillation": distillation,
                "phases": [{"name": "learn", "steps": 1, "ctc": 1}],
                "precision": "fp32",
            }
        )  # fmt: skip
        llm, _ = load_llm(config.llm, torch.float32)
        torch.manual_seed(1)
        shapes = {
            "conv1.weight": torch.randn(16, 80, 3), "conv1.bias": torch.randn(16),
            "conv2.weight": torch.randn(16, 16, 3), "conv2.bias": torch.randn(16),
            "positional_embedding": torch.randn(1500, 16),
        }  # fmt: skip
        kind = "patch" if stem == "patch" else "teacher"
        student = new_student(config, llm, lambda: new_stem(kind, shapes))
        for name, parameter in student.llm.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        if config.distillation.handover == "ctc":
            student.handover = random_handover(student.decoder.config.hidden_size)
        folder = tmp_path_factory.mktemp("distil") / "student"
        save_student(student, config, folder)
        return folder

    return make
