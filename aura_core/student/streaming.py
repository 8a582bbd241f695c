"""Hearing audio as it arrives: into the KV cache, chunk by chunk, before its end is known."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from aura_core.errors import AuraError
from aura_core.models.streaming_log_mel import StreamingLogMel
from aura_core.student.attention import SHARED, attention_mask
from aura_core.student.audio_embedding import EncoderFrames
from aura_core.student.decoding import continue_greedy
from aura_core.student.handover import Slots
from aura_core.student.prompts import ChatFormat
from aura_core.student.streaming_embedding import StreamingEmbedding
from aura_core.student.student import Part, Prefilled, Student


class StreamingPrefill:
    """One clip, pushed in pieces, and one question about it.

    A chunk of audio positions goes through the LLM as soon as it is full; with a hand-over,
    through its lower blocks, and a slot through the upper ones as soon as the next has begun.
    When the clip is over, what is left is one pass: the last chunk, at most one more, and the
    instruction, which stands after the audio. States and tokens are those of the whole clip at
    once, within the rounding of products of other shapes.

    Raises:
        AuraError: if the student needs the end of a clip to understand its beginning.
    """

    @torch.inference_mode()
    def __init__(self, student: Student, chat: ChatFormat) -> None:
        embedding = student.audio_embedding
        if embedding is None or isinstance(embedding.stem, EncoderFrames):
            raise AuraError("only a student with an audio embedding of its own hears a stream")
        if student.chunk_positions is None:
            raise AuraError(
                "this student's audio positions see the whole clip: to stream, train it with "
                "distillation.attention=chunked and chunk_positions, or causal"
            )
        if not embedding.fixed_floor:
            raise AuraError(
                "this student's log-mel has a floor below the loudest moment of the whole clip: to "
                "stream, train it with audio_embedding.log_mel_floor=fixed"
            )
        self._student = student
        self._chat = chat
        self._chunk = student.chunk_positions
        self._log_mel = StreamingLogMel(embedding.stem.num_mels)
        self._embedding = StreamingEmbedding(embedding)
        self.cache = DynamicCache(config=student.causal_lm.config)
        self._num_positions = self._num_text = 0  # read so far, and how many of them are text
        # A hand-over's lower blocks hear the clip apart from the text.
        self._heard_cache = DynamicCache(config=student.causal_lm.config)
        self._num_heard = 0
        self._waiting = self._tokens([])  # embedded audio of a chunk that is not full
        self._span = self._tokens([]).float()  # heard states of a slot that may go on
        if student.handover is not None:
            self._hear(student.embed_tokens(student.handover.prefix), is_audio=False)
        if chat.prefix:
            self._read(self._waiting, self._tokens(chat.prefix))

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear more: float32 [samples] at 16 kHz, any number of them.

        Raises:
            AuraError: if the clip becomes longer than the audio embedding has positions.
        """
        self._wait(self._embedding.push(self._log_mel.push(samples)))
        full = len(self._waiting) // self._chunk * self._chunk
        if full:
            audio, self._waiting = self._waiting[:full], self._waiting[full:]
            if self._student.handover is not None:
                audio = self._new_slots(self._hear(audio, is_audio=True), is_over=False)
            if len(audio):
                self._read(audio, self._tokens([]))

    @torch.inference_mode()
    def stream(self, instruction: str, max_new_tokens: int) -> Iterator[Tensor]:
        """End the clip, ask, and yield each next token's id, int64 [1]; an end token ends nothing.

        Only once, and nothing can be pushed after it.
        """
        self._wait(self._embedding.push(self._log_mel.finish()))
        self._wait(self._embedding.finish())
        audio = self._waiting
        if self._student.handover is not None:
            audio = self._new_slots(self._hear(audio, is_audio=True), is_over=True)
        last = self._read(audio, self._tokens(self._chat.suffix(instruction)))[-1:]
        seen = torch.ones(1, self._num_positions, dtype=torch.bool, device=last.device)
        parts = (
            Part(self._student.lower, seen[:, : self._num_text]),
            Part(self._student.upper, seen),
        )
        count = torch.tensor([self._num_positions], device=last.device)
        prefilled = Prefilled(self._student.decoder.norm(last), parts, count)
        yield from continue_greedy(self._student, prefilled, self.cache, max_new_tokens)

    def answer(self, instruction: str, max_new_tokens: int) -> str:
        """End the clip and return the answer to `instruction`; as `stream`, only once."""
        ids: list[int] = []
        for token in self.stream(instruction, max_new_tokens):
            if int(token) == self._chat.end_id:
                break
            ids.append(int(token))
        return self._chat.decode(ids)

    def _tokens(self, ids: list[int]) -> Tensor:
        device = self._student.device
        return self._student.embed_tokens(torch.tensor(ids, dtype=torch.long, device=device))

    def _wait(self, embedded: Tensor) -> None:
        self._waiting = torch.cat([self._waiting, embedded.to(self._waiting.dtype)])

    def _hear(self, embedded: Tensor, *, is_audio: bool) -> Tensor:
        """Send more of the clip, [length, width], through the blocks before the hand-over."""
        heard = self._run(
            embedded,
            self._student.lower,
            num_audio=len(embedded) if is_audio else 0,
            first_position=self._num_heard,
            seen=self._num_heard,
            cache=self._heard_cache,
        )
        self._num_heard += len(embedded)
        return heard.float()

    def _new_slots(self, heard: Tensor, *, is_over: bool) -> Tensor:
        """Slots that are complete, [slots, width]: the last one only if the clip is over."""
        assert self._student.handover is not None
        span = torch.cat([self._span, heard])
        slots: Slots = self._student.handover(
            span[None], torch.tensor([len(span)], device=span.device)
        )
        if is_over:
            return slots.flat
        count = int(slots.counts[0])
        self._span = span[int(slots.starts[0, count - 1]) :]
        return slots.flat[: count - 1]

    def _read(self, audio: Tensor, text: Tensor) -> Tensor:
        """Put audio (positions, or slots), and then text, into the cache: [length, width]."""
        student, first = self._student, self._num_positions
        below = self._run(
            text,
            student.lower,
            num_audio=0,
            first_position=first + len(audio),
            seen=self._num_text,
            cache=self.cache,
        )
        above = self._run(
            torch.cat([audio.to(below.dtype), below]),
            student.upper,
            num_audio=len(audio),
            first_position=first,
            seen=first,
            cache=self.cache,
        )
        self._num_text += len(text)
        self._num_positions += len(above)
        return above

    def _run(
        self,
        states: Tensor,
        blocks: range,
        *,
        num_audio: int,
        first_position: int,
        seen: int,
        cache: DynamicCache,
    ) -> Tensor:
        """Run blocks on new positions [length, width], audio first, that see all in the cache."""
        if not len(states) or not blocks:
            return states
        index = torch.arange(len(states), device=states.device)[None]
        is_audio = index < num_audio
        # Slots are read as text is.
        chunk = 1 if blocks.start else self._chunk
        mask = attention_mask(torch.full_like(index, SHARED), is_audio, chunk)
        output, _ = self._student.run(
            states[None],
            blocks,
            is_audio=is_audio if num_audio else None,
            mask=functional.pad(mask, (seen, 0), value=True),
            position_ids=index + first_position,
            cache=cache,
        )
        return output[0]
