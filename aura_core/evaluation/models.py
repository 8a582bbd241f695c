"""The models that are compared: what each is given, and from which artifacts it is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from whisper.model import Whisper

from aura_core.evaluation.items import Item
from aura_core.evaluation.transcriber import Spelling, Transcriber
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
        return Prompt(item.instruction, input_features=student.listen([item.audio])[0])

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
