"""Cells: (model, question set, version), each its own artifact of predictions.

A cell is addressed by what its predictions depend on, no more: a new benchmark or model
runs only its own cells, and a retrained student leaves the cascade's alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aura_core.artifacts import store
from aura_core.artifacts.digest import fingerprint
from aura_core.artifacts.manifest import (
    Manifest,
    describe_file,
    provenance,
    read_manifest,
    write_manifest,
)
from aura_core.config.overrides import AURA, MAIN, by_model
from aura_core.config.run import EvaluateConfig
from aura_core.evaluation.items import QuestionSet
from aura_core.evaluation.scorers.scorer import (
    Prediction,
    read_predictions,
    write_predictions,
)
from aura_core.stages import StageSpec

# Raised by hand when the prompts, the decoding or the fields of a cell change.
CELL_VERSION = 3
NAME = "predictions.jsonl"
# Answers of a cell that is not finished yet.
PARTS = "parts"

# The LLM as it came, before any training; only texts are asked of it.
BASE = "base"
# What a model's predictions depend on beside the questions; students are all like `aura`,
# and an audio LLM is a model of its own.
MODEL_INPUTS: dict[str, tuple[str, ...]] = {
    "asr": (),
    "aura": ("distil",),
    "cascade": ("text_lora",),
    "text": ("text_lora",),
    # Which LLM that is, is written in the text LoRA's config.
    BASE: ("text_lora",),
}


@dataclass(frozen=True)
class Cell:
    """One model on one set of questions."""

    model: str
    questions: QuestionSet
    identity: dict[str, Any]
    inputs: dict[str, str]  # role -> fingerprint
    root: str
    student: str | None = None  # the input it is loaded from, if it is one

    @property
    def fingerprint(self) -> str:
        """Its content address."""
        return fingerprint("cells", CELL_VERSION, self.identity, self.inputs)

    @property
    def uri(self) -> str:
        """Its artifact."""
        return store.join(self.root, "cells", self.fingerprint[:12])

    @property
    def predictions_uri(self) -> str:
        """Its one file beside the manifest."""
        return store.join(self.uri, NAME)

    @property
    def parts_uri(self) -> str:
        """The folder of its unfinished work."""
        return store.join(self.uri, PARTS)

    @property
    def label(self) -> str:
        """A name for people, and for the copy of its predictions in the evaluation."""
        _, _, further = (self.student or MAIN).partition(f"{MAIN}.")
        model = further.replace(".", "-seed-") or self.model
        return f"{model}.{self.questions.label}"


def plan_cells(spec: StageSpec, config: EvaluateConfig, sets: Sequence[QuestionSet]) -> list[Cell]:
    """Every cell of an evaluation; those of `asr`, which the cascade's are made from, first."""
    trained = spec.input_fingerprints
    spoken = [questions for questions in sets if questions.text_task is None]
    texts = [questions for questions in sets if questions.text_task is not None]
    heard = dict.fromkeys(questions.transcription() for questions in spoken)
    asr = [plan_cell(spec, config, "asr", questions) for questions in heard]
    asked = ((compared(config, trained), spoken), (readers(config, trained), texts))
    return (asr if "cascade" in config.models else []) + [
        plan_cell(spec, config, model, questions, name if name in trained else None)
        for models, group in asked
        for model, names in models.items()
        for name in names
        for questions in group
    ]


def compared(config: EvaluateConfig, inputs: Iterable[str]) -> dict[str, list[str]]:
    """What is compared: each model, and the students it stands for or itself."""
    trained = by_model(inputs)
    others = [model for model in trained if model != AURA]
    models = [*config.models, *others, *config.audio_llms]
    return {model: trained.get(model, [model]) for model in models}


def readers(config: EvaluateConfig, inputs: Iterable[str]) -> dict[str, list[str]]:
    """What is asked texts: the LLM before and after its text LoRA, and the students' LLMs."""
    students = set(by_model(inputs))
    found = compared(config, inputs)
    return {BASE: [BASE], "text": ["text"]} | {m: n for m, n in found.items() if m in students}


def plan_cell(
    spec: StageSpec,
    config: EvaluateConfig,
    model: str,
    questions: QuestionSet,
    student: str | None = None,
) -> Cell:
    """The cell of one model and set; `student` names the input a student comes from."""
    # What a student is called in an ablation does not change what it says.
    kind = model if student is None else AURA
    identity = {"model": kind, **questions.identity, "max_items": config.max_items}
    needed = (questions.source, *MODEL_INPUTS.get(kind, ()))
    inputs = {name: spec.input_fingerprints[name] for name in needed}
    if model in config.audio_llms:
        identity |= {"model": "audio_llm", "llm": spec.identity["pinned"][model]}
    if student:
        inputs[MAIN] = spec.input_fingerprints[student]
    if model == "asr":
        identity["asr"] = spec.identity["pinned"]["asr"]
    else:
        identity["max_new_tokens"] = questions.max_new_tokens or config.max_new_tokens
    if model == "cascade":
        heard = plan_cell(spec, config, "asr", questions.transcription())
        inputs["transcripts"] = heard.fingerprint
    return Cell(model, questions, identity, inputs, spec.root, student)


def is_complete(cell: Cell) -> bool:
    """Whether the cell's predictions are there."""
    return read_manifest(cell.uri) is not None


def publish_cell(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Write the predictions, then the manifest that makes them count; parts go."""
    write_predictions(cell.predictions_uri, predictions)
    write_manifest(
        cell.uri,
        Manifest(
            stage="cells",
            stage_version=CELL_VERSION,
            fingerprint=cell.fingerprint,
            identity=cell.identity,
            inputs=cell.inputs,
            files=[describe_file(cell.uri, NAME)],
            counts={"items": len(predictions)},
            provenance=provenance(),
        ),
    )
    for name in store.list_names(cell.parts_uri):
        store.remove(store.join(cell.parts_uri, name))


def keep_part(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Keep some answers of an unfinished cell."""
    number = len(store.list_names(cell.parts_uri))
    write_predictions(store.join(cell.parts_uri, f"part-{number:05d}.jsonl"), predictions)


def kept_parts(cell: Cell) -> dict[str, str]:
    """What an earlier run of the cell has answered before it ended: item id -> answer."""
    names = store.list_names(cell.parts_uri)
    return {
        prediction.id: prediction.prediction
        for name in names
        for prediction in read_predictions(store.join(cell.parts_uri, name))
    }


def load_cell(cell: Cell) -> list[Prediction]:
    """The predictions of a complete cell."""
    return read_predictions(cell.predictions_uri)
