"""Hearing audio as it arrives: into the KV cache, chunk by chunk, before its end is known."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from whisper.audio import HOP_LENGTH, N_FFT

from aura_core.errors import AuraError
from aura_core.models.whisper_encoder import unfloored_log_mel
from aura_core.student.attention import SHARED, attention_mask
from aura_core.student.audio_embedding import AudioEmbedding, EncoderFrames
from aura_core.student.decoding import continue_greedy
from aura_core.student.handover import Slots
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Part, Prefilled, Student

# Whisper's log-mel of audio that is still arriving.

# Windows stand in the middle of their frame, so the first one begins before the clip does.
_HALF = N_FFT // 2


class StreamingLogMel:
    """Log-mel frames as soon as their windows are full, each of them once.

    Together they are `whisper_encoder.log_mel` of the whole clip, but for its floor eight decades
    below the clip's loudest bin, which only the end of the clip tells.
    """

    def __init__(self, n_mels: int) -> None:
        self._n_mels = n_mels
        self._num_samples = 0
        self._mirrored = False
        self._wave = torch.zeros(0)  # from the next frame's window on

    def push(self, samples: NDArray[np.float32]) -> Tensor:
        """Take samples at 16 kHz, float32 [samples]; return float32 [new frames, n_mels]."""
        self._num_samples += len(samples)
        self._wave = torch.cat([self._wave, torch.from_numpy(np.array(samples, np.float32))])
        if not self._mirrored:
            if len(self._wave) <= _HALF:
                return torch.zeros(0, self._n_mels)
            self._wave = torch.cat([self._wave[1 : _HALF + 1].flip(0), self._wave])
            self._mirrored = True
        return self._whole_windows()

    def finish(self) -> Tensor:
        """Return the frames that reach beyond the end of the clip: float32 [frames, n_mels]."""
        missing = max(0, N_FFT - self._num_samples)
        silence = self.push(np.zeros(missing, dtype=np.float32))
        self._wave = torch.cat([self._wave, self._wave[-_HALF - 1 : -1].flip(0)])
        # Whisper drops the last one, which stands at the very end.
        return torch.cat([silence, self._whole_windows()[:-1]])

    def _whole_windows(self) -> Tensor:
        if len(self._wave) < N_FFT:
            return torch.zeros(0, self._n_mels)
        frames = unfloored_log_mel(self._wave, self._n_mels)
        self._wave = self._wave[len(frames) * HOP_LENGTH :]
        return frames


# Audio positions of log-mel frames that are still arriving.

# Log-mel frames that the stem's convolutions see before their first new one, and after the last.
_BEFORE, _AFTER = 2, 1


class StreamingEmbedding:
    """Embeds a position as soon as all it sees is there; the convolutions see 10 ms beyond it.

    Together the positions are those of `AudioEmbedding` on the whole clip.
    """

    def __init__(self, embedding: AudioEmbedding) -> None:
        assert not isinstance(embedding.stem, EncoderFrames), "an encoder sees whole clips"
        self._embedding = embedding
        self._stem = embedding.stem
        # Past frames only where there are some: before a clip a convolution sees zeros.
        self._num_past = 0
        self._log_mel = torch.zeros(0, embedding.stem.num_mels)
        self._num_positions = 0

    def push(self, log_mel: Tensor) -> Tensor:
        """Take float32 [frames, num_mels]; return float [new positions, llm_width]."""
        self._log_mel = torch.cat([self._log_mel, log_mel])
        frames = 2 * self._embedding.stride
        count = (len(self._log_mel) - self._num_past - _AFTER) // frames
        if count < 1:
            return self._embed(self._log_mel[:0], 0)
        used = self._num_past + count * frames
        embedded = self._embed(self._log_mel[: used + _AFTER], count)
        self._log_mel = self._log_mel[used - _BEFORE :]
        self._num_past = _BEFORE
        self._num_positions += count
        return embedded

    def finish(self) -> Tensor:
        """Return the positions at the end of the clip, the last one perhaps filled in part."""
        rest = len(self._log_mel) - self._num_past
        return self._embed(self._log_mel if rest else self._log_mel[:0], None)

    def _embed(self, log_mel: Tensor, count: int | None) -> Tensor:
        weight = self._embedding.output_norm.weight
        if not len(log_mel):
            return weight.new_zeros(0, len(weight))
        stride, past = self._embedding.stride, self._num_past // 2
        heard = self._embedding.floored(log_mel).to(weight.device)[None]
        first = self._num_positions * stride - past
        frames = self._stem(heard, torch.tensor([len(log_mel)], device=weight.device), first)
        stop = None if count is None else past + count * stride
        return self._embedding.stacked(frames[:, past:stop])[0]


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
