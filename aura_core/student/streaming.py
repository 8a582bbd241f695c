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
from aura_core.student.prompts import ChatFormat
from aura_core.student.streaming_embedding import StreamingEmbedding
from aura_core.student.student import Student


class StreamingPrefill:
    """One clip, pushed in pieces, and one question about it.

    A chunk of audio positions goes through the LLM as soon as it is full. When the clip is over,
    what is left is one pass: the last chunk, at most one more, and the instruction, which stands
    after the audio. States and tokens are those of the whole clip at once, within the rounding of
    products of other shapes.

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
        prefix = self._tokens(chat.prefix)
        self._waiting = prefix[:0]  # embedded audio of a chunk that is not full
        if len(prefix):
            self._run(prefix, num_audio=0)

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear more: float32 [samples] at 16 kHz, any number of them.

        Raises:
            AuraError: if the clip becomes longer than the audio embedding has positions.
        """
        self._wait(self._embedding.push(self._log_mel.push(samples)))
        full = len(self._waiting) // self._chunk * self._chunk
        if full:
            self._run(self._waiting[:full], num_audio=full)
            self._waiting = self._waiting[full:]

    @torch.inference_mode()
    def stream(self, instruction: str, max_new_tokens: int) -> Iterator[Tensor]:
        """End the clip, ask, and yield each next token's id, int64 [1]; an end token ends nothing.

        Only once, and nothing can be pushed after it.
        """
        self._wait(self._embedding.push(self._log_mel.finish()))
        self._wait(self._embedding.finish())
        suffix = self._tokens(self._chat.suffix(instruction))
        num_audio = len(self._waiting)
        states = self._run(torch.cat([self._waiting, suffix]), num_audio=num_audio)
        valid = torch.ones(1, self.cache.get_seq_length(), dtype=torch.bool, device=states.device)
        yield from continue_greedy(self._student, states[:, -1], valid, self.cache, max_new_tokens)

    def answer(self, instruction: str, max_new_tokens: int) -> str:
        """End the clip and return the answer to `instruction`; as `stream`, only once."""
        ids: list[int] = []
        for token in self.stream(instruction, max_new_tokens):
            if int(token) == self._chat.end_id:
                break
            ids.append(int(token))
        return self._chat.decode(ids)

    def _tokens(self, ids: list[int]) -> Tensor:
        device = next(self._student.parameters()).device
        index = torch.tensor(ids, dtype=torch.long, device=device)
        embedded: Tensor = self._student.decoder.embed_tokens(index)
        return embedded

    def _wait(self, embedded: Tensor) -> None:
        self._waiting = torch.cat([self._waiting, embedded.to(self._waiting.dtype)])

    def _run(self, embedded: Tensor, *, num_audio: int) -> Tensor:
        """Put positions, audio and then text, into the cache: [length, width] -> [1, ...]."""
        seen, length = self.cache.get_seq_length(), len(embedded)
        index = torch.arange(length, device=embedded.device)[None]
        is_audio = index < num_audio
        mask = attention_mask(torch.full_like(index, SHARED), is_audio, self._chunk)
        output = self._student.decode(
            embedded[None],
            is_audio if num_audio else None,
            attention_mask=functional.pad(mask, (seen, 0), value=True),
            position_ids=index + seen,
            past_key_values=self.cache,
            use_cache=True,
        )
        states: Tensor = output.last_hidden_state
        return states
