"""The text LLM at work on transcripts: it answers, and says how likely an answer's tokens are."""

from collections.abc import Mapping, Sequence
from typing import Any

from aura_core.config.run import TargetsConfig
from aura_core.device import device_for
from aura_core.student.batch import Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy, top_logprobs
from aura_core.student.inference import load_student
from aura_core.targets.answers import Question, questions

_BATCH = 16


class TargetGenerator:
    """The LLM of a `text_lora` artifact."""

    def __init__(self, text_lora_uri: str, config: TargetsConfig) -> None:
        self._student, self._chat, _ = load_student(text_lora_uri, device_for(config.runtime))
        self._config = config

    def write(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Make the rows of a part of utterances: `key`, `text`, `instruction`, `response` each.

        Raises:
            KeyError: if a row lacks one of them.
        """
        made: list[dict[str, Any]] = []
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            own = self._answer(batch) if self._config.self_generated else [""] * len(batch)
            asked = [self._questions(row, answer) for row, answer in zip(batch, own, strict=True)]
            made += self._with_logprobs(batch, asked)
        return made

    def _questions(self, row: Mapping[str, Any], own: str | None) -> list[Question]:
        """Everything an utterance is asked."""
        asks_itself = self._config.self_generated
        mine = Question("self_generated", self._config.instruction, own) if asks_itself else None
        return questions(row["text"], row["instruction"], row["response"], mine)

    def _answer(self, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """The LLM's own words to each transcript; None where it did not end, or said nothing."""
        suffix = self._chat.suffix(self._config.instruction)
        layouts = [
            Layout(self._chat.prefix, 0, self._chat.text(row["text"]), [Continuation(suffix, [])])
            for row in rows
        ]
        limit = self._config.max_new_tokens
        found = decode_greedy(
            self._student,
            collate(layouts).to(next(self._student.parameters()).device),
            end_ids=[self._chat.end_id],
            max_new_tokens=limit,
        )
        texts = [self._chat.decode(ids) if len(ids) < limit else "" for ids in found]
        return [text or None for text in texts]

    def _with_logprobs(
        self,
        rows: Sequence[Mapping[str, Any]],
        asked: Sequence[Sequence[Question]],
    ) -> list[dict[str, Any]]:
        said = [
            [
                Continuation(self._chat.suffix(instruction), self._chat.response(response))
                for _, instruction, response in each
                if response is not None
            ]
            for each in asked
        ]
        layouts = [
            Layout(self._chat.prefix, 0, self._chat.text(row["text"]), each)
            for row, each in zip(rows, said, strict=True)
        ]
        found = top_logprobs(self._student, layouts, self._config.top_k)
        top = iter([(ids.flatten().tolist(), each.flatten().tolist()) for ids, each in found])
        made = []
        for row, each in zip(rows, asked, strict=True):
            for kind, _, response in each:
                ids, logprobs = next(top, ([], [])) if response is not None else ([], [])
                made.append(
                    {
                        "key": row["key"],
                        "kind": kind,
                        "response": response,
                        "top_ids": ids,
                        "top_logprobs": logprobs,
                    }
                )
        return made
