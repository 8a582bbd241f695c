"""What a worker of the evaluation does: makes cells and times models, each loaded once."""

from functools import cached_property

import torch

from aura_core.config import EvaluateConfig
from aura_core.corpus.table import read_table
from aura_core.evaluation.cells import (
    Cell,
    compared,
    is_complete,
    load_cell,
    plan_cell,
    publish_cell,
)
from aura_core.evaluation.items import Item, load_items, with_transcripts
from aura_core.evaluation.latency import Timing, measure
from aura_core.evaluation.models import Model, Sources, load_hearing, load_model, predict
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.transcriber import Spelling
from aura_core.pipeline import StageSpec

# An ablation has many students, and each is asked for all its cells in a row.
_KEPT_MODELS = 4


class Predictor:
    """Holds the models of one evaluation."""

    def __init__(self, spec: StageSpec, config: EvaluateConfig) -> None:
        self.spec = spec
        self.config = config
        self._models: dict[str, Model] = {}

    def make_cell(self, cell: Cell) -> int:
        """Predict and publish a cell; returns its number of items.

        A cell of the cascade needs the ASR's cell of its split.
        """
        items = load_items(self.spec.inputs["ingest"], cell.split, cell.task, self.config.max_items)
        if cell.model == "cascade":
            items = with_transcripts(items, self._transcripts(cell.split))
        answers = self._known_answers(cell, items)
        unanswered = [item for item in items if item.id not in answers]
        if unanswered:
            new = predict(self._model(cell.student or cell.model), unanswered)
            answers |= {item.id: answer for item, answer in zip(unanswered, new, strict=True)}
        predictions = [
            Prediction(
                id=item.id,
                references=(item.reference,),
                prediction=answers[item.id],
                transcript=item.transcript,
            )
            for item in items
        ]
        publish_cell(cell, predictions)
        return len(predictions)

    def measure_latency(self, splits: list[str], task: str, threads: int) -> list[Timing]:
        """Time the compared models on clips spread over the splits, with so many CPU threads.

        Of the students that differ in their seed only, one is timed.
        """
        torch.set_num_threads(threads)
        timed = {
            model: self._model(names[0])
            for model, names in compared(self.config, self.spec.inputs).items()
        }
        return measure(timed, self._clips(splits, task))

    def _known_answers(self, cell: Cell, items: list[Item]) -> dict[str, str]:
        """What the cascade's LLM has already answered, as the model `text`.

        Where the ASR made no mistake both are given the same prompt.
        """
        text_cell = plan_cell(self.spec, self.config, "text", cell.split, cell.task)
        if cell.model != "cascade" or not is_complete(text_cell):
            return {}
        answers = {p.id: p.prediction for p in load_cell(text_cell)}
        return {item.id: answers[item.id] for item in items if item.transcript == item.text}

    def _clips(self, splits: list[str], task: str) -> list[Item]:
        wanted = self.config.latency_items
        per_split = -(-wanted // len(splits))
        columns = [
            load_items(self.spec.inputs["ingest"], split, task, per_split) for split in splits
        ]
        return [c[i] for i in range(per_split) for c in columns if i < len(c)][:wanted]

    def _model(self, name: str) -> Model:
        """A model, or the student of an input."""
        if name not in self._models:
            if len(self._models) >= _KEPT_MODELS:
                self._models.pop(next(iter(self._models)))
            student = self.spec.inputs.get(name)
            self._models[name] = (
                load_hearing(student, self._sources) if student else load_model(name, self._sources)
            )
        return self._models[name]

    def _transcripts(self, split: str) -> dict[str, str]:
        cell = plan_cell(self.spec, self.config, "asr", split, "transcribe")
        return {p.id: p.prediction for p in load_cell(cell)}

    @cached_property
    def _sources(self) -> Sources:
        table = read_table(self.spec.inputs["ingest"], columns=["text"])
        return Sources(
            text_lora_uri=self.spec.inputs["text_lora"],
            asr=self.config.asr,
            spelling=Spelling.of(table.column("text").to_pylist()),
            max_new_tokens=self.config.max_new_tokens,
        )
