"""What a student learns to say about an utterance, and how much each kind of answer counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aura_core.cache.index import Sample
from aura_core.student.batch import Continuation
from aura_core.student.prompts import ChatFormat
from aura_core.targets.questions import Question, questions
from aura_core.targets.table import Target, Targets
from aura_core.train_config import TargetWeights


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
