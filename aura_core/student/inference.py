"""Ask a trained student: prompts in, answers out."""

from collections.abc import Sequence

import torch

from aura_core.student.batch import Batch, Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy
from aura_core.student.export import load_student
from aura_core.student.prompts import ChatFormat, Prompt
from aura_core.student.student import Student


class Responder:
    """A student and its chat format; answers greedily."""

    def __init__(self, student: Student, chat: ChatFormat) -> None:
        self._student = student
        self._chat = chat

    @property
    def num_mels(self) -> int:
        """Mel bands of the log-mel this student hears."""
        embedding = self._student.audio_embedding
        assert embedding is not None, "a text LLM hears nothing"
        return embedding.stem.num_mels

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Answer a batch of prompts, all with audio or all with text."""
        ids = decode_greedy(
            self._student,
            self._batch(prompts),
            end_ids=[self._chat.end_id],
            max_new_tokens=max_new_tokens,
        )
        return [self._chat.decode(answer) for answer in ids]

    def first_token(self, prompt: Prompt) -> None:
        """Compute the first token of an answer, as a measure of latency."""
        self.generate([prompt], max_new_tokens=1)

    def _batch(self, prompts: Sequence[Prompt]) -> Batch:
        layouts = [self._layout(prompt) for prompt in prompts]
        mels = [prompt.log_mel for prompt in prompts if prompt.log_mel is not None]
        device = next(self._student.parameters()).device
        return collate(layouts, mels or None).to(device)

    def _layout(self, prompt: Prompt) -> Layout:
        num_audio = 0
        if prompt.log_mel is not None:
            assert self._student.audio_embedding is not None, "a text LLM was given audio"
            frames = torch.tensor(prompt.log_mel.shape[0])
            num_audio = int(self._student.audio_embedding.num_tokens(frames))
        return Layout(
            prefix=self._chat.prefix,
            num_audio_tokens=num_audio,
            text=[] if prompt.text is None else self._chat.text(prompt.text),
            continuations=[Continuation(self._chat.suffix(prompt.instruction), [])],
        )


def load_responder(uri: str) -> Responder:
    """Load the student of a `distil` or `text_lora` artifact."""
    return Responder(*load_student(uri))
