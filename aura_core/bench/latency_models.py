"""The models whose latency is compared, untrained: time does not depend on what weights say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from whisper.model import Whisper

from aura_core.bench.measure import Clips, Speech
from aura_core.chat.load import HearingChat
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.stage import TEACHER_RATE_HZ
from aura_core.config.train import TrainConfig
from aura_core.device import compute_dtype, device_for
from aura_core.distil.setup import ctc_vocabulary
from aura_core.errors import AuraError
from aura_core.evaluation.transcriber import Spelling, Transcriber
from aura_core.models.llm import load_llm
from aura_core.models.teachers import load_whisper_teacher
from aura_core.models.whisper_encoder import load_whisper
from aura_core.student.assembly import assemble_student, new_audio_embedding, new_student
from aura_core.student.audio_embedding import AudioEmbedding, EncoderFrames, new_stem
from aura_core.student.batch import Layout, collate
from aura_core.student.handover import CtcHandover, CtcHead, TokenStates
from aura_core.student.inference import EncoderExtractor, LogMelExtractor, Responder
from aura_core.student.prompts import ChatFormat, Prompt
from aura_core.student.student import Student
from aura_core.teacher_cache.codec import Codec, LayerCodec

MODELS = ("aura_merged", "aura_gated", "aura_dense", "bridge", "cascade", "text_in")
# Halvings of the range in which the bias of CTC's blank is looked for.
_BISECTIONS = 12
_FURTHEST_BIAS = 30.0


@dataclass(frozen=True)
class TimedModel:
    """An LLM, what it is asked about clips, and the modules that hold its weights."""

    responder: Responder
    ask: Callable[[Clips], list[Prompt]]  # all the work before the LLM's own
    modules: tuple[nn.Module, ...]

    def answer(self, clips: Clips, num_tokens: int, cache: DynamicCache) -> Iterator[Tensor]:
        """Yield so many tokens of each answer, int64 [batch]; all the work is done in between."""
        yield from self.responder.stream(self.ask(clips), num_tokens, cache)

    def num_positions(self, clips: Clips, cache: DynamicCache) -> int:
        """Positions of the longest prompt in the last block; `cache` is an empty one."""
        next(self.answer(clips, 1, cache))
        return num_positions(cache)


def num_positions(cache: DynamicCache) -> int:
    """Positions in the last block: with a hand-over the lower ones hold text only."""
    return int(cache.get_seq_length(len(cache.layers) - 1))


class LatencyModels:
    """Builds models around one LLM: LoRA that is merged leaves weights of the LLM's own shape.

    Only the gated student has an LLM of its own. A hand-over makes about as many slots of speech
    as its transcript has tokens, as it does once it is trained; `aura_dense` is merged, without.

    Raises:
        AuraError: if a model cannot be loaded, or the student is configured as a bridge.
    """

    def __init__(
        self, config: TrainConfig, teacher_cache: TeacherCacheConfig, asr: str, speech: Speech
    ) -> None:
        if config.audio_embedding.stem == "encoder":
            raise AuraError(
                "distil.audio_embedding.stem is encoder, which is the bridge, measured anyway: "
                "set teacher, random or patch for AuRA"
            )
        self._config = _with_lora_at(config, "all")
        # As bridges do, and as recipe `ablation` does: the encoder's states, stacked.
        changes = {"rate_hz": TEACHER_RATE_HZ, "projection_rank": None}
        self._teacher_cache = teacher_cache.model_copy(update=changes)
        self._asr = asr
        self._speech = speech
        self._spelling = Spelling.of(speech.texts)
        self.device = device_for(None)
        self._teacher = load_whisper_teacher(teacher_cache.teacher, self.device)
        student = self._new_student(self._config)
        self._llm: PreTrainedModel = student.llm.merge_and_unload()  # type: ignore[operator]
        self._dense = self._around_llm(student.audio_embedding)
        self._merged = self._with_handover(self._around_llm(student.audio_embedding))

    @property
    def llm(self) -> PreTrainedModel:
        """The LLM that all but the gated student share."""
        return self._llm

    @property
    def dtype(self) -> torch.dtype:
        """In which the LLM multiplies."""
        return compute_dtype(self._config.precision, self.device)

    @property
    def measured_on(self) -> dict[str, Any]:
        """The LLM, its precision, and the machine, for a result."""
        return {
            "llm": self._config.llm,
            "precision": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            "threads": torch.get_num_threads(),
        }

    @property
    def num_chat_positions(self) -> int:
        """Positions of a prompt around what is heard or read."""
        chat = self._chat()
        return len(chat.prefix) + len(chat.suffix(TRANSCRIBE))

    def build(self, name: str) -> TimedModel:
        """Return one of `MODELS`."""
        builders: dict[str, Callable[[], TimedModel]] = {
            "aura_merged": lambda: self._hearing(self._merged),
            "aura_gated": lambda: self._hearing(self._gated()),
            "aura_dense": lambda: self._hearing(self._dense),
            "bridge": self._bridge,
            "cascade": self._cascade,
            "text_in": lambda: self._reading(lambda clips: clips.texts),
        }
        return builders[name]()

    def chat(self) -> HearingChat:
        """AuRA, merged, to talk to."""
        return HearingChat(self._merged, self._chat(), LogMelExtractor(self._teacher.num_mels))

    def _gated(self) -> Student:
        student = self._ready(self._new_student(_with_lora_at(self._config, "audio")))
        return self._with_handover(student)

    def _with_handover(self, student: Student) -> Student:
        """Give a student the hand-over of the config, if it has one."""
        blocks = self._config.lora.blocks
        if self._config.distillation.handover == "dense" or blocks is None:
            return student
        chat, width = self._chat(), int(self._llm.config.hidden_size)
        transcripts = [chat.text(text) for text in self._speech.texts]
        tokens = ctc_vocabulary(chat.tokenizer, transcripts, self._config.distillation.ctc_tokens)
        rows = torch.randn(len(tokens), width, generator=torch.Generator().manual_seed(0))
        states = TokenStates(list(tokens), rows, torch.zeros(width), torch.ones(width))
        handover = CtcHandover(CtcHead(states), blocks, chat.prefix, next(iter(tokens)))
        student.handover = handover.requires_grad_(False).to(self.device)
        self._say_as_many(student, sum(map(len, transcripts)))
        return student

    @torch.inference_mode()
    def _say_as_many(self, student: Student, wanted: int) -> None:
        """Make an untrained CTC see a blank so often that all speech becomes `wanted` slots."""
        assert student.handover is not None
        features = LogMelExtractor(self._teacher.num_mels)(self._speech.audios)
        batch = collate([Layout([], 1, [], [])] * len(features), features).to(self.device)
        heard, counts = student.hear(batch, (), None)
        low, high = -_FURTHEST_BIAS, _FURTHEST_BIAS
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            nn.init.constant_(student.handover.head.blank.bias, middle)
            slots = student.handover(heard[student.handover.block], counts)
            low, high = (middle, high) if slots.counts.sum() > wanted else (low, middle)

    def _around_llm(self, embedding: AudioEmbedding | None) -> Student:
        return self._ready(assemble_student(self._config, self._llm, embedding))

    def _new_student(self, config: TrainConfig) -> Student:
        llm, self._tokenizer = load_llm(config.llm, torch.float32)
        stem = new_stem(config.audio_embedding.stem, self._teacher.stem_tensors())
        return new_student(config, llm, lambda: stem)

    def _ready(self, student: Student) -> Student:
        student.llm.to(dtype=self.dtype)
        student.eval().requires_grad_(False).to(self.device)
        return student

    def _chat(self) -> ChatFormat:
        return ChatFormat(self._tokenizer, self._config.chat_template)

    def _hearing(
        self,
        student: Student,
        feature_extractor: EncoderExtractor | None = None,
        *heard_by: nn.Module,
    ) -> TimedModel:
        num_mels = self._teacher.num_mels
        responder = Responder(student, self._chat(), feature_extractor or LogMelExtractor(num_mels))

        def ask(clips: Clips) -> list[Prompt]:
            return [
                Prompt(TRANSCRIBE, features)
                for features in responder.extract_features(clips.audios)
            ]

        return TimedModel(responder, ask, (student, *heard_by))

    def _bridge(self) -> TimedModel:
        config = self._teacher_cache
        teacher = self._teacher.in_precision(compute_dtype(config.precision, self.device))
        width, last = teacher.width, teacher.num_layers
        statistics = LayerCodec(torch.zeros(width), torch.ones(width))
        codec = Codec({last: statistics}, config.rate_hz, 1, getattr(torch, config.dtype))
        feature_extractor = EncoderExtractor(
            teacher, config.model_copy(update={"layers": (last,)}), codec.to(self.device)
        )
        stem = EncoderFrames(width, config.rate_hz)
        embedding = new_audio_embedding(self._config, self._llm, stem)
        return self._hearing(self._around_llm(embedding), feature_extractor, teacher.model.encoder)

    def _cascade(self) -> TimedModel:
        whisper: Whisper = load_whisper(self._asr, self.device)
        transcriber = Transcriber(whisper, self._spelling)
        return self._reading(lambda clips: transcriber.transcribe(clips.audios), whisper)

    def _reading(self, texts: Callable[[Clips], Sequence[str]], *heard_by: nn.Module) -> TimedModel:
        student = self._around_llm(None)

        def ask(clips: Clips) -> list[Prompt]:
            return [Prompt(TRANSCRIBE, text=text) for text in texts(clips)]

        return TimedModel(Responder(student, self._chat(), None), ask, (student, *heard_by))

    def text_ids(self, clips: Clips, num_positions: int) -> Tensor:
        """Token ids of what is said, over and over: int64 [batch, num_positions]."""
        chat = self._chat()
        rows = [list(islice(cycle(chat.text(text)), num_positions)) for text in clips.texts]
        return torch.tensor(rows, device=self.device)


def _with_lora_at(config: TrainConfig, positions: str) -> TrainConfig:
    lora = config.lora.model_copy(update={"positions": positions})
    return config.model_copy(update={"lora": lora})


@torch.inference_mode()
def prefill_text(llm: PreTrainedModel, ids: Tensor, cache: DynamicCache) -> Iterator[Tensor]:
    """Yield the plain LLM's first token after token ids [batch, length], as it comes itself."""
    states = llm.model(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    yield llm.lm_head(states[:, -1]).argmax(dim=-1)
