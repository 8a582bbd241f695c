"""Audio LLMs of others, asked through their own processor and chat template."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM, AutoProcessor

from aura_core.corpus.table import SAMPLE_RATE
from aura_core.errors import AuraError
from aura_core.evaluation.items import Item
from aura_core.models.llm import source_of
from aura_core.precision import compute_dtype


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
