"""Ask a trained student: from samples to features, prompts in, answers out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from transformers import DynamicCache

from aura_core.artifacts import store
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import (
    ADAPTER,
    AUDIO_EMBEDDING,
    ENCODER,
    ENCODER_CODEC,
    HANDOVER,
    TEXT_ADAPTER,
    TRAIN_CONFIG,
    TrainConfig,
)
from aura_core.device import compute_dtype
from aura_core.models.llm import load_llm
from aura_core.models.teachers import Teacher, load_teacher
from aura_core.models.whisper_encoder import log_mel
from aura_core.student.assembly import (
    assemble_student,
    load_adapter,
    merge_adapter,
    new_audio_embedding,
)
from aura_core.student.audio_embedding import EncoderFrames, Stem, stem_like
from aura_core.student.batch import Batch, Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy, log_likelihoods, stream_greedy
from aura_core.student.handover import CtcHandover
from aura_core.student.prompts import ChatFormat, Prompt
from aura_core.student.streaming import StreamingPrefill
from aura_core.student.student import Student
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.build import as_configured
from aura_core.teacher_cache.codec import Codec
from aura_core.teacher_cache.encode import clip_of, num_frames, teacher_states

# From samples to what a student is given of them: a log-mel, or an encoder's states.


@dataclass(frozen=True)
class LogMelExtractor:
    """Whisper's log-mel."""

    num_mels: int

    def __call__(self, audios: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Samples at 16 kHz -> of each clip float32 [frames_100hz, num_mels]."""
        return [log_mel(audio, self.num_mels) for audio in audios]


@dataclass(frozen=True)
class EncoderExtractor:
    """The frozen encoder of a bridge: its last states, as the cache it was trained on has them."""

    teacher: Teacher
    config: TeacherCacheConfig
    codec: Codec

    @torch.inference_mode()
    def __call__(self, audios: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Samples at 16 kHz, at most 30 s -> of each clip float32 [positions, width]."""
        row = {"id": "asked about"}
        clips = [clip_of(audio, row, self.teacher, self.config) for audio in audios]
        [(layer, states)] = teacher_states(self.teacher, clips, self.config)
        lengths = num_frames(clips).to(states.device)
        return [each.cpu() for each in self.codec.restored(layer, states, lengths)]


FeatureExtractor = LogMelExtractor | EncoderExtractor


def load_encoder(folder: Path, device: torch.device) -> EncoderExtractor | None:
    """Load what `assembly.save_encoder` wrote; None if `folder` is no bridge's."""
    if not (folder / ENCODER).exists():
        return None
    config = TeacherCacheConfig.model_validate_json((folder / ENCODER).read_text())
    teacher = as_configured(load_teacher(config.teacher, device), config)
    codec = codecs.from_bytes((folder / ENCODER_CODEC).read_bytes()).to(device)
    return EncoderExtractor(teacher, config, codec)


class Responder:
    """A student with its chat format and, if it hears, its feature extractor; answers greedily."""

    def __init__(
        self, student: Student, chat: ChatFormat, feature_extractor: FeatureExtractor | None
    ) -> None:
        self._student = student
        self._chat = chat
        self._feature_extractor = feature_extractor

    def extract_features(self, audios: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """What the student is given of clips, samples at 16 kHz: float32 [frames, channels]."""
        assert self._feature_extractor is not None, "a text LLM hears nothing"
        return self._feature_extractor(audios)

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Answer a batch of prompts, all with audio or all with text."""
        ids = decode_greedy(
            self._student,
            self.batch(prompts),
            end_ids=[self._chat.end_id],
            max_new_tokens=max_new_tokens,
        )
        return [self._chat.decode(answer) for answer in ids]

    def stream(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        cache: DynamicCache | None = None,
    ) -> Iterator[Tensor]:
        """Yield the next token id of each prompt, int64 [batch]; an end token ends nothing."""
        batch = self.batch(prompts)
        yield from stream_greedy(self._student, batch, max_new_tokens=max_new_tokens, cache=cache)

    def log_likelihoods(self, answers: Sequence[tuple[Prompt, str]]) -> list[float]:
        """Log probability, in nats, of each answer to its prompt, without an end token."""
        layouts = []
        for prompt, answer in answers:
            suffix = self._chat.suffix(prompt.instruction)
            said = Continuation(suffix, self._chat.text(answer))
            layouts.append(replace(self._layout(prompt), continuations=[said]))
        found, _ = log_likelihoods(self._student, self._collate([p for p, _ in answers], layouts))
        return found.tolist()

    def text_log_likelihoods(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        """Log probability of plain texts after their first token, in nats, and its tokens."""
        ids = [self._chat.text(text) for text in texts]
        layouts = [Layout([], 0, [], [Continuation(each[:1], each[1:])]) for each in ids]
        found, counts = log_likelihoods(self._student, self._collate([], layouts))
        return list(zip(found.tolist(), counts.tolist(), strict=True))

    def streaming(self) -> StreamingPrefill:
        """Begin a clip that is heard while it arrives.

        Raises:
            AuraError: if the student's config does not allow it.
        """
        return StreamingPrefill(self._student, self._chat)

    def first_token(self, prompt: Prompt) -> None:
        """Compute the first token of an answer, as a measure of latency."""
        self.generate([prompt], max_new_tokens=1)

    def batch(self, prompts: Sequence[Prompt]) -> Batch:
        """Lay prompts out as positions, on the student's device."""
        return self._collate(prompts, [self._layout(prompt) for prompt in prompts])

    def _collate(self, prompts: Sequence[Prompt], layouts: Sequence[Layout]) -> Batch:
        heard = [each for prompt in prompts if (each := prompt.input_features) is not None]
        return collate(layouts, heard or None).to(self._student.device)

    def _layout(self, prompt: Prompt) -> Layout:
        num_audio = 0
        if prompt.input_features is not None:
            assert self._student.audio_embedding is not None, "a text LLM was given audio"
            frames = torch.tensor(len(prompt.input_features))
            num_audio = int(self._student.audio_embedding.num_tokens(frames))
        return Layout(
            prefix=self._chat.prefix,
            num_audio_tokens=num_audio,
            text=[] if prompt.text is None else self._chat.text(prompt.text),
            continuations=[Continuation(self._chat.suffix(prompt.instruction), [])],
        )


def load_responder(uri: str, device: torch.device) -> Responder:
    """Load the student of a `distil` or `text_lora` artifact."""
    return Responder(*load_student(uri, device))


def load_base(uri: str, device: torch.device) -> Responder:
    """Load the LLM that a `distil` or `text_lora` artifact started from, as it came."""
    config = TrainConfig.model_validate_json(store.read_text(store.join(uri, TRAIN_CONFIG)))
    llm, tokenizer = load_llm(config.llm, torch.float32)
    llm.to(dtype=compute_dtype(config.precision, device))  # type: ignore[call-arg]
    student = Student(llm, None).eval().to(device)
    return Responder(student, ChatFormat(tokenizer, config.chat_template), None)


def load_student(
    uri: str, device: torch.device
) -> tuple[Student, ChatFormat, FeatureExtractor | None]:
    """Load what `save_student` wrote, with its chat format and its feature extractor.

    LoRA is merged, in fp32 and rounded once; a gated one stays beside the weights.
    """
    with store.local_folder(uri) as folder:
        config = TrainConfig.model_validate_json((folder / TRAIN_CONFIG).read_text())
        llm, tokenizer = load_llm(config.llm, torch.float32)
        if (folder / TEXT_ADAPTER).exists():
            llm = merge_adapter(llm, folder / TEXT_ADAPTER)
        adapted = (
            load_adapter(llm, folder / ADAPTER)
            if config.lora.positions == "audio"
            else merge_adapter(llm, folder / ADAPTER)
        )
        adapted.to(dtype=compute_dtype(config.precision, device))  # type: ignore[call-arg]
        embedding, feature_extractor = None, None
        if config.input == "audio":
            weights = load_file(folder / AUDIO_EMBEDDING)
            feature_extractor, stem = _extractor_and_stem(folder, config, weights, device)
            embedding = new_audio_embedding(config, llm, stem)
            embedding.load_state_dict(weights)
        handover = None
        if (folder / HANDOVER).exists():
            assert config.lora.blocks is not None
            handover = CtcHandover.of_weights(load_file(folder / HANDOVER), config.lora.blocks)
    student = assemble_student(config, adapted, embedding, handover)
    student.eval().to(device)
    return student, ChatFormat(tokenizer, config.chat_template), feature_extractor


def _extractor_and_stem(
    folder: Path, config: TrainConfig, weights: Mapping[str, Tensor], device: torch.device
) -> tuple[FeatureExtractor, Stem]:
    encoder = load_encoder(folder, device)
    if encoder is None:
        stem = stem_like(weights, config.audio_embedding.token_rate_hz)
        return LogMelExtractor(stem.num_mels), stem
    return encoder, EncoderFrames(encoder.teacher.width, encoder.codec.rate_hz)
