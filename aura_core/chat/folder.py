"""An exported model folder in a conversation."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoConfig, DynamicCache
from transformers.utils.logging import disable_progress_bar

from aura_core.chat.reply import Reply, room_for
from aura_core.corpus.table import SAMPLE_RATE
from aura_core.device import device_for
from aura_core.errors import AuraError
from aura_core.export.remote.configuration_aura import AuraConfig
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.turns import Turn, clips


class FolderChat:
    """What `aura_core.export.folder` wrote, loaded with our own code and not the folder's."""

    def __init__(self, folder: Path) -> None:
        AutoConfig.register("aura", AuraConfig, exist_ok=True)
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self._device = device_for(None)
        model: Any = AuraForConditionalGeneration.from_pretrained(folder)
        self._model = model.to(self._device)
        self._processor = AuraProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def reply(self, turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str] = ()) -> Reply:
        """As `ChatModel` says."""
        try:
            text = self._processor.apply_chat_template(_messages(turns), add_generation_prompt=True)
            inputs = self._processor(text, audio=clips(turns), sampling_rate=SAMPLE_RATE)
        except (TemplateError, ValueError) as error:
            raise AuraError(f"these turns cannot be laid out: {error}") from error
        text_config = self._model.config.text_config
        most = text_config.max_position_embeddings
        least = inputs["input_ids"].shape[1]
        if self._model.handover is not None:
            # A clip becomes one slot or more: how many is known once it is heard.
            is_text = inputs["input_ids"] != self._model.config.audio_token_id
            least = int(is_text.sum()) + len(clips(turns))
        room_for(max_new_tokens, least, most)
        cache = DynamicCache(config=text_config)
        first = self._next(dict(inputs.to(self._device)), cache)
        # The last block's cache holds what is read, audio or the slots that stand for it.
        length = cache.get_seq_length(text_config.num_hidden_layers - 1)
        limit = room_for(max_new_tokens, length, most)
        ends = self._model.generation_config.eos_token_id
        return Reply(
            self._tokens(first, cache, limit),
            prompt_tokens=length,
            decode=self._decode,
            end_ids=ends if isinstance(ends, list) else [ends],
            stop=stop,
        )

    def _decode(self, ids: list[int]) -> str:
        return str(self._processor.tokenizer.decode(ids, skip_special_tokens=True))

    @torch.inference_mode()
    def _tokens(self, first: int, cache: DynamicCache, max_new_tokens: int) -> Iterator[int]:
        token = first
        yield token
        for _ in range(max_new_tokens - 1):
            token = self._next({"input_ids": torch.tensor([[token]], device=self._device)}, cache)
            yield token

    def _next(self, inputs: dict[str, Any], cache: DynamicCache) -> int:
        """The most likely token after what is in the cache and `inputs`."""
        output = self._model(**inputs, cache=cache, use_cache=True, logits_to_keep=1)
        return int(output.logits[0, -1].argmax())


def _messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [
        {
            "role": turn.role,
            "content": [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "audio"}
                for part in turn.parts
            ],
        }
        for turn in turns
    ]
