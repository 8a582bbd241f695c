"""Samples of the teacher cache as batches a student can learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aura_core.cache.index import Sample, TeacherCache
from aura_core.student.audio_embedding import AudioEmbedding
from aura_core.student.batch import Batch, Continuation, Layout, collate
from aura_core.student.prompts import TRANSCRIBE, ChatFormat


@dataclass(frozen=True)
class TrainBatch:
    """One step's input: the student's batch and the teacher's states of the same clips."""

    batch: Batch
    teacher: dict[int, Tensor]  # layer -> float32 [batch, frames_50hz, width]
    num_frames: Tensor  # int64 [batch]
    transcripts: list[list[int]]
    keys: list[str]


class TrainingSet:
    """Reads the cache, and nothing but the cache."""

    def __init__(
        self,
        cache: TeacherCache,
        chat: ChatFormat,
        audio_embedding: AudioEmbedding | None,
        layers: Sequence[int],
    ) -> None:
        self.cache = cache
        self.chat = chat
        self._audio_embedding = audio_embedding
        self._layers = layers

    @property
    def lengths(self) -> list[float]:
        """Seconds of each utterance, for length buckets."""
        return [entry.duration_s for entry in self.cache.entries]

    def transcripts(self) -> list[list[int]]:
        """Token ids of every transcript."""
        return [self.chat.text(entry.text) for entry in self.cache.entries]

    def load(self, indices: Sequence[int], *, with_text: bool) -> TrainBatch:
        """Read the utterances of a batch.

        `with_text` adds instructions and responses; without it a clip is its audio alone.
        """
        samples = [self.cache.read(i) for i in indices]
        layouts = [self._layout(sample, with_text=with_text) for sample in samples]
        mels = None if self._audio_embedding is None else [s.log_mel for s in samples]
        return TrainBatch(
            batch=collate(layouts, mels),
            teacher={
                layer: pad_sequence([s.layers[layer].float() for s in samples], batch_first=True)
                for layer in self._layers
            },
            num_frames=torch.tensor([(s.log_mel.shape[0] + 1) // 2 for s in samples]),
            transcripts=[self.chat.text(s.text) for s in samples],
            keys=[s.key for s in samples],
        )

    def _layout(self, sample: Sample, *, with_text: bool) -> Layout:
        num_audio = 0
        if self._audio_embedding is not None:
            frames = torch.tensor(sample.log_mel.shape[0])
            num_audio = int(self._audio_embedding.num_tokens(frames))
        return Layout(
            prefix=self.chat.prefix,
            num_audio_tokens=num_audio,
            text=[] if num_audio else self.chat.text(sample.text),
            continuations=self._continuations(sample) if with_text else [],
        )

    def _continuations(self, sample: Sample) -> list[Continuation]:
        pairs = [(TRANSCRIBE, sample.text)]
        if sample.response is not None:
            pairs.append((sample.instruction or "", sample.response))
        return [
            Continuation(self.chat.suffix(instruction), self.chat.response(response))
            for instruction, response in pairs
        ]
