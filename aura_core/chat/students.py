"""Trained students of this project in a conversation: those that hear, and a cascade."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from transformers import DynamicCache

from aura_core.chat.reply import Reply, room_for
from aura_core.evaluation.transcriber import Transcriber
from aura_core.student.batch import Batch, lay_out_conversation
from aura_core.student.decoding import continue_greedy
from aura_core.student.ears import Ear
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.turns import Turn, clips


class HearingChat:
    """A student with its ear: AuRA, or a bridge."""

    def __init__(self, student: Student, chat: ChatFormat, ear: Ear) -> None:
        self._student = student
        self._chat = chat
        self._ear = ear

    @torch.inference_mode()
    def reply(self, turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str] = ()) -> Reply:
        """As `ChatModel` says."""
        pieces = self._chat.conversation(turns)
        # Each by itself: what is heard of a clip must not depend on the other turns.
        features = [heard for clip in clips(turns) for heard in self._ear([clip])]
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
    max_positions = student.causal_lm.config.max_position_embeddings
    least = batch.input_ids.shape[1]
    if student.handover is not None and batch.num_feature_frames is not None:
        # A clip becomes one slot or more: how many is known once it is heard.
        least = int((~batch.is_audio).sum()) + len(batch.num_feature_frames)
    room_for(max_new_tokens, least, max_positions)
    cache = DynamicCache(config=student.causal_lm.config)
    prefilled = student.prefill(batch.to(student.device), cache)
    length = int(prefilled.num_positions[0])
    limit = room_for(max_new_tokens, length, max_positions)
    return Reply(
        (int(token) for token in continue_greedy(student, prefilled, cache, limit)),
        prompt_tokens=length,
        decode=lambda ids: str(chat.tokenizer.decode(ids, skip_special_tokens=True)),
        end_ids=(chat.end_id,),
        stop=stop,
    )
