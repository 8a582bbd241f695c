"""Load a model to talk to: a trained student, a cascade, or an exported folder."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from pydantic import ValidationError
from transformers import AutoConfig, DynamicCache
from transformers.utils.logging import disable_progress_bar

from aura_core.artifacts import store
from aura_core.artifacts.store import require_reachable
from aura_core.chat.reply import ChatModel, Reply, room_for
from aura_core.config.run import EvaluateConfig
from aura_core.config.train import TRAIN_CONFIG, TrainConfig
from aura_core.device import device_for
from aura_core.errors import AuraError
from aura_core.evaluation.transcriber import Transcriber
from aura_core.export.remote.configuration_aura import AuraConfig
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.models.llm import max_positions
from aura_core.student.batch import Batch, lay_out_conversation
from aura_core.student.decoding import continue_greedy
from aura_core.student.inference import FeatureExtractor
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.turns import Turn, clips

# Trained students of this project in a conversation: those that hear, and a cascade.


class HearingChat:
    """A student that hears: AuRA, or a bridge."""

    def __init__(
        self, student: Student, chat: ChatFormat, feature_extractor: FeatureExtractor
    ) -> None:
        self._student = student
        self._chat = chat
        self._feature_extractor = feature_extractor

    @torch.inference_mode()
    def reply(self, turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str] = ()) -> Reply:
        """As `ChatModel` says."""
        pieces = self._chat.conversation(turns)
        # Each by itself: what is heard of a clip must not depend on the other turns.
        features = [heard for clip in clips(turns) for heard in self._feature_extractor([clip])]
        assert self._student.audio_embedding is not None
        frames = torch.tensor([len(each) for each in features], dtype=torch.long)
        counts = self._student.audio_embedding.num_tokens(frames).tolist()
        batch = lay_out_conversation(pieces, counts, features)
        return _reply(self._student, self._chat, batch, max_new_tokens, stop)


class CascadeChat:
    """An ASR, and an LLM that reads its transcript where a student would hear."""

    def __init__(self, student: Student, chat: ChatFormat, transcriber: Transcriber) -> None:
        self._student = student
        self._chat = chat
        self._transcriber = transcriber

    @torch.inference_mode()
    def reply(self, turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str] = ()) -> Reply:
        """As `ChatModel` says; every clip of the conversation is transcribed in full."""
        pieces = self._chat.conversation(turns)
        transcripts = self._transcriber.transcribe(clips(turns))
        written = [self._chat.text(each) for each in transcripts]
        # Each piece on its own, as in training: a transcript ends a token.
        ids = [
            token
            for piece, text in zip_longest(pieces, written, fillvalue=())
            for token in (*piece, *text)
        ]
        batch = lay_out_conversation([ids], [], [])
        return _reply(self._student, self._chat, batch, max_new_tokens, stop)


def _reply(
    student: Student, chat: ChatFormat, batch: Batch, max_new_tokens: int, stop: Sequence[str]
) -> Reply:
    longest = student.max_positions
    least = batch.input_ids.shape[1]
    if student.handover is not None and batch.num_feature_frames is not None:
        # A clip becomes one slot or more: how many is known once it is heard.
        least = int((~batch.is_audio).sum()) + len(batch.num_feature_frames)
    room_for(max_new_tokens, least, longest)
    cache = DynamicCache(config=student.causal_lm.config)
    prefilled = student.prefill(batch.to(student.device), cache)
    length = int(prefilled.num_positions[0])
    limit = room_for(max_new_tokens, length, longest)
    return Reply(
        (int(token) for token in continue_greedy(student, prefilled, cache, limit)),
        prompt_tokens=length,
        decode=lambda ids: str(chat.tokenizer.decode(ids, skip_special_tokens=True)),
        end_ids=(chat.end_id,),
        stop=stop,
    )


# An exported model folder in a conversation.


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
        most = max_positions(text_config)
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


def is_model(uri: str) -> bool:
    """Whether `load_chat` takes it. Raises AuraError if it is out of reach or damaged."""
    require_reachable(uri)
    if store.exists(store.join(uri, TRAIN_CONFIG)):
        return True
    config = store.join(uri, "config.json")
    if not store.exists(config):
        return False
    try:
        settings = json.loads(store.read_text(config))
    except ValueError as error:
        raise AuraError(f"{config} is no JSON ({error}): write the model anew") from error
    return isinstance(settings, dict) and settings.get("model_type") == "aura"


def load_chat(uri: str) -> ChatModel:
    """Load a distil artifact (AuRA or a bridge), or a folder of `aura_core.export.folder`.

    Raises:
        AuraError: if it is neither, or hears nothing.
    """
    if not is_model(uri):
        raise AuraError(f"{uri} is no model: name a distil artifact or a folder of `aura export`")
    if not store.exists(store.join(uri, TRAIN_CONFIG)):
        with store.local_folder(uri) as folder:
            return FolderChat(folder)
    try:
        config = TrainConfig.model_validate_json(store.read_text(store.join(uri, TRAIN_CONFIG)))
    except ValidationError as error:
        raise AuraError(
            f"{uri}/{TRAIN_CONFIG} is damaged or of another version of aura: train the model anew"
        ) from error
    if config.input != "audio":
        raise AuraError(f"{uri} is a text LoRA, which hears nothing: name a distil artifact")
    from aura_core.device import device_for
    from aura_core.student.inference import load_student

    student, chat, feature_extractor = load_student(uri, device_for(None))
    assert feature_extractor is not None
    return HearingChat(student, chat, feature_extractor)


def load_cascade(text_lora_uri: str, ingest_uri: str, config: EvaluateConfig) -> ChatModel:
    """Load the cascade of an evaluation: its ASR, in the spelling of the corpus, and text LLM."""
    from aura_core.device import device_for
    from aura_core.evaluation.items import CORPUS, texts
    from aura_core.evaluation.transcriber import Spelling, Transcriber
    from aura_core.models.whisper_encoder import load_whisper
    from aura_core.student.inference import load_student

    device = device_for(None)
    student, chat, _ = load_student(text_lora_uri, device)
    spelling = Spelling.of(texts(ingest_uri, CORPUS))
    return CascadeChat(student, chat, Transcriber(load_whisper(config.asr, device), spelling))
