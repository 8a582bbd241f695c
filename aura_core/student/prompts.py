"""Text around the audio: the chat template, cut where the audio (or the transcript) goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from aura_core.errors import AuraError
from aura_core.turns import Turn, clips

_PLACEHOLDER = "\u241aaudio\u241a"


@dataclass(frozen=True)
class Prompt:
    """One question about one utterance: what is heard of it, or its text for a text-only LLM."""

    instruction: str
    input_features: Tensor | None = None  # float [frames, channels]
    text: str | None = None


class ChatFormat:
    """Token ids of the parts of a chat turn, from the LLM's own (or a given) template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str | None = None) -> None:
        self.tokenizer = tokenizer
        self._template = template
        self.prefix = self._encode(self._split("")[0])
        if tokenizer.eos_token_id is None:
            raise AuraError("the LLM's tokenizer names no end-of-turn token (eos_token)")
        self.end_id = int(tokenizer.eos_token_id)

    def suffix(self, instruction: str) -> list[int]:
        """Ids between the audio and the response: the instruction, the assistant's header."""
        return self._encode(self._split(instruction)[1])

    def text(self, text: str) -> list[int]:
        """Ids of a transcript that stands where the audio would."""
        return self._encode(text)

    def response(self, text: str) -> list[int]:
        """Ids of a response and the end of the turn."""
        return [*self._encode(text), self.end_id]

    def conversation(self, turns: Sequence[Turn]) -> list[list[int]]:
        """Ids before, between and after the clips of a conversation, to the assistant's header.

        Raises:
            AuraError: if the chat template refuses the turns, or drops a clip.
        """
        messages = [
            {
                "role": turn.role,
                "content": "\n".join(
                    part if isinstance(part, str) else _PLACEHOLDER for part in turn.parts
                ),
            }
            for turn in turns
        ]
        try:
            pieces = self._render(messages).split(_PLACEHOLDER)
        except TemplateError as error:
            raise AuraError(f"the LLM's chat template refuses these turns: {error}") from error
        if len(pieces) != len(clips(turns)) + 1:
            raise AuraError(f"the turns must keep their audio once and hold no {_PLACEHOLDER}")
        return [self._encode(piece) for piece in pieces]

    def decode(self, ids: list[int]) -> str:
        """Text of generated ids, without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _split(self, instruction: str) -> tuple[str, str]:
        message = {"role": "user", "content": f"{_PLACEHOLDER}\n{instruction}"}
        prefix, found, suffix = self._render([message]).partition(_PLACEHOLDER)
        if not found:
            raise AuraError("the chat template drops the user's content: set another chat_template")
        return prefix, suffix

    def _render(self, messages: list[dict[str, Any]]) -> str:
        rendered = self.tokenizer.apply_chat_template(
            messages, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        return str(rendered)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))
