"""What a worker of the evaluation does: makes cells and times models, each loaded once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache, cached_property

import torch
from tqdm import tqdm

from aura_core.config.run import EvaluateConfig
from aura_core.device import Precision, compute_dtype, device_for, precision_name, synchronise
from aura_core.evaluation.cells import (
    Cell,
    compared,
    is_complete,
    keep_part,
    kept_parts,
    load_cell,
    plan_cell,
    publish_cell,
)
from aura_core.evaluation.items import Item, QuestionSet, load_items, texts, with_transcripts
from aura_core.evaluation.models import (
    Model,
    PromptedLlm,
    Sources,
    load_hearing,
    load_model,
    predict,
    read,
)
from aura_core.evaluation.results import Timing
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.transcriber import Spelling
from aura_core.stages import StageSpec

# Time to first token at batch 1, from decoded audio (or text) to the first token.


def measure(
    models: Mapping[str, Model], items: Sequence[Item], device: torch.device
) -> list[Timing]:
    """Time every model, all on `device`, on the same clips, models taking turns clip by clip.

    Decoding the audio file is not counted; log-mel, the cascade's transcription
    and everything after are. One clip warms each model up first.
    """
    for item in items:
        _ = item.audio  # decoded here, before any clock runs
    for model in models.values():
        model.first_token(items[0])
    return [
        Timing(
            model=name,
            id=item.id,
            duration_s=item.duration_s,
            ttft_ms=_time_ms(model, item, device),
        )
        for item in tqdm(items, desc="latency", unit="clip")
        for name, model in models.items()
    ]


def _time_ms(model: Model, item: Item, device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    model.first_token(item)
    synchronise(device)
    return (time.perf_counter() - start) * 1000


# An ablation has many students, and each is asked for all its cells in a row.
_KEPT_MODELS = 4
# Answers between two savings: what an interrupted cell may lose.
_PART_ITEMS = 128
# Models that write transcripts, as the source of the questions spells them.
_SPELL = ("asr", "cascade")


class Predictor:
    """Holds the models of one evaluation."""

    def __init__(self, spec: StageSpec, config: EvaluateConfig) -> None:
        self.spec = spec
        self.config = config
        self._models: dict[tuple[str, str | None], Model] = {}
        self._spelling = cache(self._read_spelling)

    @cached_property
    def device(self) -> torch.device:
        """Where the models are."""
        return device_for(self.config.runtime)

    @property
    def auto_precision(self) -> Precision:
        """What precision "auto" is where the models are."""
        return precision_name(compute_dtype("auto", self.device))

    def make_cell(self, cell: Cell) -> int:
        """Predict and publish a cell, going on from what an earlier run has answered.

        A cell of the cascade needs the ASR's cell of its questions.

        Returns:
            The number of items.
        """
        items = self._items(cell.questions)
        if cell.model == "cascade":
            items = with_transcripts(items, self._transcripts(cell.questions))
        answers = self._known_answers(cell, items) | kept_parts(cell)
        unanswered = [item for item in items if item.id not in answers]
        for start in range(0, len(unanswered), _PART_ITEMS):
            answers |= self._answer(cell, unanswered[start : start + _PART_ITEMS])
        publish_cell(cell, [_prediction(item, answers[item.id]) for item in items])
        return len(items)

    def measure_latency(self, sets: list[QuestionSet], threads: int) -> list[Timing]:
        """Time the compared models on clips spread over the sets, with so many CPU threads.

        Of the students that differ in their seed only, one is timed.
        """
        torch.set_num_threads(threads)
        source = sets[0].source
        timed = {
            model: self._model(names[0], source)
            for model, names in compared(self.config, self.spec.inputs).items()
        }
        return measure(timed, self._clips(sets), self.device)

    def _answer(self, cell: Cell, items: list[Item]) -> dict[str, str]:
        model = self._model(cell.student or cell.model, cell.questions.source)
        limit = cell.questions.max_new_tokens or self.config.max_new_tokens
        if cell.questions.text_task is None:
            answers = predict(model, items, limit)
        else:
            assert isinstance(model, PromptedLlm), f"{cell.model} reads nothing"
            answers = read(model.llm, cell.questions.text_task, items, limit)
        predictions = [_prediction(*each) for each in zip(items, answers, strict=True)]
        keep_part(cell, predictions)
        return {prediction.id: prediction.prediction for prediction in predictions}

    def _known_answers(self, cell: Cell, items: list[Item]) -> dict[str, str]:
        """What the cascade's LLM has already answered, as the model `text`.

        Where the ASR made no mistake both are given the same prompt.
        """
        text_cell = plan_cell(self.spec, self.config, "text", cell.questions)
        if cell.model != "cascade" or not is_complete(text_cell):
            return {}
        answers = {p.id: p.prediction for p in load_cell(text_cell)}
        return {item.id: answers[item.id] for item in items if item.transcript == item.text}

    def _items(self, questions: QuestionSet, max_items: int | None = None) -> list[Item]:
        uri = self.spec.inputs[questions.source]
        return load_items(uri, questions, max_items or self.config.max_items)

    def _clips(self, sets: list[QuestionSet]) -> list[Item]:
        wanted = self.config.latency_items
        per_set = -(-wanted // len(sets))
        columns = [self._items(questions, per_set) for questions in sets]
        return [c[i] for i in range(per_set) for c in columns if i < len(c)][:wanted]

    def _model(self, name: str, source: str) -> Model:
        """A model for questions of a source: a student's input, a rival or an audio LLM."""
        key = (name, source if name in _SPELL else None)
        if key not in self._models:
            if len(self._models) >= _KEPT_MODELS:
                self._models.pop(next(iter(self._models)))
            self._models[key] = self._load(name, source)
        return self._models[key]

    def _load(self, name: str, source: str) -> Model:
        if name in self.spec.inputs:
            return load_hearing(self.spec.inputs[name], self.device)
        if name in self.config.audio_llms:
            from aura_core.evaluation.models import load_audio_llm

            reference, trusted = self.config.audio_llms[name], self.config.trust_remote_code
            return load_audio_llm(reference, self.device, trust_remote_code=trusted)
        text_lora = self.spec.inputs["text_lora"]
        spelling = self._spelling(source)
        return load_model(name, Sources(text_lora, self.config.asr, spelling, self.device))

    def _transcripts(self, questions: QuestionSet) -> dict[str, str]:
        cell = plan_cell(self.spec, self.config, "asr", questions.transcription())
        return {p.id: p.prediction for p in load_cell(cell)}

    def _read_spelling(self, source: str) -> Spelling:
        return Spelling.of(texts(self.spec.inputs[source], source))


def _prediction(item: Item, answer: str) -> Prediction:
    return Prediction(
        id=item.id,
        references=item.references,
        prediction=answer,
        transcript=item.transcript,
        choices=item.choices,
        extra={"duration_s": item.duration_s, **item.extra},
    )
