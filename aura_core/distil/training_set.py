"""What a step learns from: samples of the teacher cache, their answers, ordinary text."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aura_core.config.augmentation import AugmentationConfig
from aura_core.config.instructions import ordinary_instructions
from aura_core.config.train import TargetWeights
from aura_core.distil.augment import augment
from aura_core.student.audio_embedding import AudioEmbedding, EncoderFrames
from aura_core.student.batch import Batch, Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy, top_logprobs
from aura_core.student.prompts import ChatFormat
from aura_core.student.student import Student
from aura_core.targets.answers import Question, Target, Targets, questions
from aura_core.teacher_cache.index import Fetched, Sample, TeacherCache
from aura_core.turns import Turn

# What a student learns to say about an utterance, and how much each kind of answer counts.


@dataclass(frozen=True)
class Answer:
    """A question's token ids and its answer's, and what the text LLM thinks of the latter."""

    continuation: Continuation
    weight: float
    target: Target | None

    @property
    def num_tokens(self) -> int:
        """Tokens to learn, the end token among them."""
        return len(self.continuation.response)


class Answers:
    """Chooses the answers of an utterance; `targets` are those the text LLM has made, if any."""

    def __init__(
        self, chat: ChatFormat, weights: TargetWeights, targets: Targets | None = None
    ) -> None:
        self._chat = chat
        self._weights: dict[str, float] = weights.model_dump()
        self._targets = targets
        self._all_alike = len({weight for weight in self._weights.values() if weight}) == 1

    def of(self, sample: Sample) -> list[Answer]:
        """Every answer with a weight."""
        made = {t.kind: t for t in self._targets.of(sample.key)} if self._targets else {}
        own = None
        if self._targets and "self_generated" in made:
            said = made["self_generated"].response
            own = Question("self_generated", self._targets.instruction, said)
        return [
            Answer(
                Continuation(self._chat.suffix(instruction), self._chat.response(response)),
                self._weights[kind],
                made.get(kind),
            )
            for kind, instruction, response in questions(
                sample.text, sample.instruction, sample.response, own
            )
            if response is not None and self._weights[kind]
        ]

    def token_weights(self, answers: Sequence[Answer]) -> Tensor | None:
        """What each token counts for, float32 [tokens]; None if all count alike."""
        if self._all_alike:
            return None
        lengths = torch.tensor([answer.num_tokens for answer in answers], dtype=torch.long)
        return torch.tensor([answer.weight for answer in answers]).repeat_interleave(lengths)

    def top_logprobs(self, answers: Sequence[Answer]) -> tuple[Tensor | None, Tensor | None]:
        """The text LLM's likeliest tokens and their log-probabilities, [tokens, top_k] each."""
        if self._targets is None or not self._targets.top_k or not answers:
            return None, None
        found = [answer.target for answer in answers if answer.target is not None]
        return torch.cat([t.top_ids for t in found]), torch.cat([t.top_logprobs for t in found])


@dataclass(frozen=True)
class TrainBatch:
    """One step's input: the student's batch and the teacher's states of the same clips."""

    batch: Batch
    teacher: dict[int, Tensor]  # layer -> float32 [batch, states, width], standardised
    num_states: Tensor  # int64 [batch], the teacher's, at the cache's rate
    transcripts: list[list[int]]
    keys: list[str]
    # Of every token to learn, in the order of the labels; None where all count alike.
    token_weights: Tensor | None = None  # float32 [tokens]
    top_ids: Tensor | None = None  # int64 [tokens, top_k]
    top_logprobs: Tensor | None = None  # float32 [tokens, top_k]

    def to(self, device: torch.device) -> "TrainBatch":
        """Move every tensor to `device`."""
        return replace(
            self,
            batch=self.batch.to(device),
            teacher={layer: states.to(device) for layer, states in self.teacher.items()},
            num_states=self.num_states.to(device),
            **{
                name: value.to(device)
                for name in ("token_weights", "top_ids", "top_logprobs")
                if (value := getattr(self, name)) is not None
            },
        )


class TrainingSet:
    """Reads the cache, and nothing but the cache."""

    def __init__(
        self,
        cache: TeacherCache,
        chat: ChatFormat,
        audio_embedding: AudioEmbedding | None,
        layers: Sequence[int],
        answers: Answers,
        augmentation: AugmentationConfig,
        seed: int,
    ) -> None:
        self.cache = cache
        self.chat = chat
        self._answers = answers
        self._audio_embedding = audio_embedding
        is_bridge = audio_embedding and isinstance(audio_embedding.stem, EncoderFrames)
        self._heard_layer = max(cache.layers) if is_bridge else None
        self.layers = sorted(layers)
        self._augmentation = augmentation
        self._seed = seed

    def only(self, layers: Iterable[int]) -> "TrainingSet":
        """The same with fewer of the teacher's layers."""
        fewer = copy(self)
        fewer.layers = sorted(set(layers))
        return fewer

    def clean(self) -> "TrainingSet":
        """The same without augmentation."""
        plain = copy(self)
        plain._augmentation = AugmentationConfig()
        return plain

    @property
    def lengths(self) -> list[float]:
        """Seconds of each utterance, for length buckets."""
        return list(self.cache.durations_s)

    def transcripts(self) -> list[list[int]]:
        """Token ids of every transcript."""
        return [self.chat.text(text) for text in self.cache.column("text")]

    def fetch(self, indices: Sequence[int]) -> list[Fetched]:
        """Read the bytes of a batch; computes nothing, so that a thread may do it ahead."""
        return self.cache.fetch(indices)

    def assemble(self, fetched: Sequence[Fetched], *, with_text: bool, step: int) -> TrainBatch:
        """Decode and pad the utterances of a batch.

        `with_text` adds instructions and responses; without it a clip is its audio alone.
        `step`, counted from 0 over all phases, is what the draws of augmentation depend on.
        """
        heard = self.layers if self._heard_layer is None else [*self.layers, self._heard_layer]
        samples = [self.cache.decode(each, heard) for each in fetched]
        features = [self._features(sample, step) for sample in samples]
        answers = [self._answers.of(sample) if with_text else [] for sample in samples]
        layouts = [
            self._layout(sample, len(heard_of_it), said)
            for sample, heard_of_it, said in zip(samples, features, answers, strict=True)
        ]
        together = [answer for each in answers for answer in each]
        top_ids, top_logprobs = self._answers.top_logprobs(together)
        return TrainBatch(
            batch=collate(layouts, features if self._audio_embedding else None),
            teacher={
                layer: pad_sequence([s.layers[layer] for s in samples], batch_first=True)
                for layer in self.layers
            },
            num_states=self.cache.codec.num_positions(
                torch.tensor([(s.log_mel.shape[0] + 1) // 2 for s in samples])
            ),
            transcripts=[self.chat.text(s.text) for s in samples],
            keys=[s.key for s in samples],
            token_weights=self._answers.token_weights(together),
            top_ids=top_ids,
            top_logprobs=top_logprobs,
        )

    def extract_features(self, fetched: Sequence[Fetched]) -> list[tuple[Tensor, str]]:
        """What the student hears of utterances, float [frames, channels], and what they say."""
        layers = [] if self._heard_layer is None else [self._heard_layer]
        samples = [self.cache.decode(each, layers) for each in fetched]
        return [(self._features(sample, step=0), sample.text) for sample in samples]

    def _features(self, sample: Sample, step: int) -> Tensor:
        """What the student hears: the log-mel, or a bridge the encoder's last states."""
        if self._heard_layer is not None:
            return sample.layers[self._heard_layer]
        return augment(
            sample.log_mel, self._augmentation, seed=self._seed, step=step, key=sample.key
        )

    def _layout(self, sample: Sample, num_frames: int, answers: Sequence[Answer]) -> Layout:
        num_audio = 0
        if self._audio_embedding is not None:
            num_audio = int(self._audio_embedding.num_tokens(torch.tensor(num_frames)))
        return Layout(
            prefix=self.chat.prefix,
            num_audio_tokens=num_audio,
            text=[] if num_audio else self.chat.text(sample.text),
            continuations=[answer.continuation for answer in answers],
        )


# Ordinary instructions, answered as the LLM answers before it is trained: against forgetting.
#
# A LoRA that is on for text learns to write its task's answers to whatever it is asked. Steps on
# what the LLM says to ordinary instructions keep those as they were.

# The beginning of an answer tells its kind; more of it makes a step longer.
_MAX_TOKENS = 16


class OrdinaryText:
    """Instructions and what `student` says to them now, before any training.

    Args:
        student: answers, greedily.
        chat: the turns around an instruction.
        count: so many of the instructions at most.
        top_k: so many of its likeliest tokens as well, for phases that learn from logits.
    """

    def __init__(self, student: Student, chat: ChatFormat, count: int, top_k: int = 0) -> None:
        chosen = ordinary_instructions()[:count]
        prompts = [chat.conversation([Turn("user", (asked,))])[0] for asked in chosen]
        device = next(student.parameters()).device
        said = decode_greedy(
            student,
            collate([_layout(prompt, []) for prompt in prompts]).to(device),
            end_ids=[chat.end_id],
            max_new_tokens=_MAX_TOKENS,
        )
        ends = [[] if len(answer) == _MAX_TOKENS else [chat.end_id] for answer in said]
        self._layouts = [
            _layout(prompt, answer + end)
            for prompt, answer, end in zip(prompts, said, ends, strict=True)
        ]
        self._top = top_logprobs(student, self._layouts, top_k)

    def assemble(self, numbers: Sequence[int]) -> TrainBatch:
        """A batch of instructions by their numbers; after the last comes the first again."""
        chosen = [number % len(self._layouts) for number in numbers]
        ids = logprobs = None
        if self._top:
            ids, logprobs = (torch.cat([self._top[n][part] for n in chosen]) for part in (0, 1))
        return TrainBatch(
            batch=collate([self._layouts[number] for number in chosen]),
            teacher={},
            num_states=torch.zeros(len(chosen), dtype=torch.long),
            transcripts=[[] for _ in chosen],
            keys=[f"ordinary instruction {number}" for number in chosen],
            top_ids=ids,
            top_logprobs=logprobs,
        )


def _layout(prompt: list[int], response: list[int]) -> Layout:
    return Layout(prompt[:-1], 0, [], [Continuation(prompt[-1:], response)])
