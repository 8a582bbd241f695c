"""The models that are compared: what each is given, and from which artifacts it is loaded."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM, AutoProcessor
from whisper.model import Whisper

from aura_core.config.benchmarks import TextTask
from aura_core.device import compute_dtype
from aura_core.errors import AuraError
from aura_core.evaluation.items import Item
from aura_core.evaluation.transcriber import Spelling, Transcriber
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.models.llm import source_of
from aura_core.models.whisper_encoder import load_whisper
from aura_core.student.inference import Responder, load_base, load_responder
from aura_core.student.prompts import Prompt

# Samples that have ended leave a batch: a large one takes few steps.
BATCH_ITEMS = 96


@dataclass(frozen=True)
class Sources:
    """Where the models come from, and where they run."""

    text_lora_uri: str
    asr: str
    spelling: Spelling
    device: torch.device


class Model(Protocol):
    """Answers items."""

    def predict(self, items: Sequence[Item], max_new_tokens: int) -> list[str]:
        """Answer a batch."""

    def first_token(self, item: Item) -> None:
        """Do all the work from samples (or text) to the first token of the answer."""


class Asr:
    """Whisper alone; its transcripts are what the cascade's LLM reads."""

    def __init__(self, transcriber: Transcriber) -> None:
        self.transcriber = transcriber

    def predict(self, items: Sequence[Item], max_new_tokens: int) -> list[str]:  # noqa: ARG002
        """Transcribe a batch, to the end of what is said."""
        return self.transcriber.transcribe([item.audio for item in items])

    def first_token(self, item: Item) -> None:
        """Transcribe in full: an LLM cannot start on less."""
        self.transcriber.transcribe([item.audio])


class PromptedLlm:
    """An LLM, and the prompt it gets for an item."""

    def __init__(self, llm: Responder, prompt: Callable[[Item], Prompt]) -> None:
        self.llm = llm
        self.prompt = prompt

    def predict(self, items: Sequence[Item], max_new_tokens: int) -> list[str]:
        """Answer a batch."""
        return self.llm.generate([self.prompt(item) for item in items], max_new_tokens)

    def first_token(self, item: Item) -> None:
        """Make the prompt and the first token of its answer."""
        self.llm.first_token(self.prompt(item))


def load_model(name: str, sources: Sources) -> Model:
    """Load one of `MODELS`."""
    return MODELS[name](sources)


def load_hearing(distil_uri: str, device: torch.device) -> Model:
    """Load a student: speech into its LLM, no transcript between."""
    student = load_responder(distil_uri, device)

    def prompt(item: Item) -> Prompt:
        return Prompt(item.instruction, input_features=student.extract_features([item.audio])[0])

    return PromptedLlm(student, prompt)


def predict(model: Model, items: Sequence[Item], max_new_tokens: int) -> list[str]:
    """Answer any number of items, in batches of like length; answers keep the items' order."""
    order = sorted(range(len(items)), key=lambda i: items[i].duration_s, reverse=True)
    answers = [""] * len(items)
    for start in range(0, len(order), BATCH_ITEMS):
        batch = order[start : start + BATCH_ITEMS]
        found = model.predict([items[i] for i in batch], max_new_tokens)
        for i, answer in zip(batch, found, strict=True):
            answers[i] = answer
    return answers


def _asr(sources: Sources) -> Model:
    return Asr(_transcriber(sources.asr, sources.spelling, sources.device))


def _cascade(sources: Sources) -> Model:
    """The ASR's transcript into the text LLM; transcribes what has no transcript yet."""

    def prompt(item: Item) -> Prompt:
        transcript = item.transcript
        if transcript is None:
            asr = _transcriber(sources.asr, sources.spelling, sources.device)
            transcript = asr.transcribe([item.audio])[0]
        return Prompt(item.instruction, text=transcript)

    return PromptedLlm(_text_llm(sources.text_lora_uri, sources.device), prompt)


def _text(sources: Sources) -> Model:
    """The reference transcript into the text LLM: the upper bound."""
    return PromptedLlm(_text_llm(sources.text_lora_uri, sources.device), _read_prompt)


def _base(sources: Sources) -> Model:
    """The LLM as it came, before the text LoRA, on the reference transcript."""
    return PromptedLlm(load_base(sources.text_lora_uri, sources.device), _read_prompt)


def _read_prompt(item: Item) -> Prompt:
    return Prompt(item.instruction, text=item.text)


MODELS: dict[str, Callable[[Sources], Model]] = {
    "asr": _asr,
    "cascade": _cascade,
    "text": _text,
    "base": _base,
}


# Several models share each of these; a process loads it once.
@lru_cache(maxsize=8)
def _transcriber(reference: str, spelling: Spelling, device: torch.device) -> Transcriber:
    return Transcriber(_whisper(reference, device), spelling)


@lru_cache(maxsize=1)
def _whisper(reference: str, device: torch.device) -> Whisper:
    return load_whisper(reference, device)


@lru_cache(maxsize=1)
def _text_llm(uri: str, device: torch.device) -> Responder:
    return load_responder(uri, device)


# Audio LLMs of others, asked through their own processor and chat template.


class AudioLlm:
    """A model with audio in its chat template, such as Qwen2-Audio, Voxtral or Ultravox."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model = model
        self._processor = processor

    def predict(self, items: Sequence[Item], max_new_tokens: int) -> list[str]:
        """Answer one by one: how a stranger pads a batch is not known to leave answers alone."""
        return [self._answer(item, max_new_tokens) for item in items]

    def first_token(self, item: Item) -> None:
        """Do all the work from samples to the first token of the answer."""
        self._answer(item, 1)

    @torch.inference_mode()
    def _answer(self, item: Item, max_new_tokens: int) -> str:
        asked = [{"type": "text", "text": item.instruction}] if item.instruction else []
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "audio"}, *asked]}],
            add_generation_prompt=True,
            tokenize=False,
        )
        inputs = self._processor(
            text=text, audio=[item.audio], sampling_rate=SAMPLE_RATE, return_tensors="pt"
        ).to(self._model.device, dtype=self._model.dtype)
        ids = self._model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        answer = ids[0, inputs["input_ids"].shape[1] :]
        return str(self._processor.decode(answer, skip_special_tokens=True)).strip()


def load_audio_llm(reference: str, device: torch.device, *, trust_remote_code: bool) -> AudioLlm:
    """Load an audio LLM of the hub or a folder.

    Raises:
        AuraError: if it cannot be loaded, or its processor takes no audio or has no chat template.
    """
    source, revision = source_of(reference)
    named: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        processor = AutoProcessor.from_pretrained(source, **named)  # type: ignore[no-untyped-call]
        config = AutoConfig.from_pretrained(source, **named)
        known = type(config) in AutoModelForMultimodalLM._model_mapping
        kind = AutoModelForMultimodalLM if known else AutoModelForCausalLM
        model = kind.from_pretrained(source, **named, dtype=compute_dtype("auto", device))
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise AuraError(f"{reference!r} cannot be loaded as an audio LLM ({reason})") from error
    if not hasattr(processor, "feature_extractor"):
        raise AuraError(f"{reference!r} is no audio LLM: its processor takes no audio")
    if not processor.chat_template:
        raise AuraError(f"{reference!r} has no chat template: it cannot be asked")
    return AudioLlm(model.eval().to(device), processor)


# What an LLM makes of text: before training, after its text LoRA, and as the LLM of a student.

_BATCH_ITEMS = 8


def read(llm: Responder, task: TextTask, items: Sequence[Item], max_new_tokens: int) -> list[str]:
    """Answer texts as their benchmark asks for it; answers keep the items' order.

    Returns:
        For each item an answer, the likeliest letter of its choices, or the summed negative log
        likelihood of its text after the first token with the number of these tokens:
        `{"nats": 412.5, "tokens": 96}`.
    """
    return [
        answer
        for start in range(0, len(items), _BATCH_ITEMS)
        for answer in TEXT_TASKS[task](llm, items[start : start + _BATCH_ITEMS], max_new_tokens)
    ]


def _answer(llm: Responder, items: Sequence[Item], max_new_tokens: int) -> list[str]:
    return llm.generate([_read_prompt(item) for item in items], max_new_tokens)


def _choose(llm: Responder, items: Sequence[Item], _max_new_tokens: int) -> list[str]:
    pairs = [(item, letter) for item in items for letter in item.choices or {}]
    found = llm.log_likelihoods([(_read_prompt(item), letter) for item, letter in pairs])
    likeliest: dict[str, tuple[float, str]] = {}
    for (item, letter), value in zip(pairs, found, strict=True):
        likeliest[item.id] = max(likeliest.get(item.id, (-float("inf"), "")), (value, letter))
    return [likeliest[item.id][1] for item in items]


def _perplexity(llm: Responder, items: Sequence[Item], _max_new_tokens: int) -> list[str]:
    found = llm.text_log_likelihoods([item.text for item in items])
    return [json.dumps({"nats": -value, "tokens": tokens}) for value, tokens in found]


TEXT_TASKS: dict[TextTask, Callable[[Responder, Sequence[Item], int], list[str]]] = {
    "answer": _answer,
    "choose": _choose,
    "perplexity": _perplexity,
}
