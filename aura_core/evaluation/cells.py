"""Cells: (model, split, task, version), each its own artifact of predictions.

A cell is addressed by what its predictions depend on, no more: a new split, task
or model runs only its own cells, and a retrained student leaves the cascade's alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aura_core.ablation import AURA, MAIN, by_model
from aura_core.artifacts import store
from aura_core.artifacts.fingerprint import fingerprint
from aura_core.artifacts.manifest import (
    Manifest,
    describe_file,
    provenance,
    read_manifest,
    write_manifest,
)
from aura_core.config import EvaluateConfig
from aura_core.evaluation.predictions import Prediction, read_predictions, write_predictions
from aura_core.pipeline import StageSpec

# Raised by hand when the prompts, the decoding or the fields of a cell change.
CELL_VERSION = 2
NAME = "predictions.jsonl"

# The stages a model's predictions depend on; the students of an ablation are all like `aura`.
MODEL_INPUTS: dict[str, tuple[str, ...]] = {
    "asr": ("ingest",),
    "aura": ("ingest", "distil"),
    "cascade": ("ingest", "text_lora"),
    "text": ("ingest", "text_lora"),
}


@dataclass(frozen=True)
class Cell:
    """One model on one task of one split."""

    model: str
    split: str
    task: str
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
    def label(self) -> str:
        """A name for people, and for the copy of its predictions in the evaluation."""
        _, _, further = (self.student or MAIN).partition(f"{MAIN}.")
        model = further.replace(".", "-seed-") or self.model
        return f"{model}.{self.split}.{self.task}"


def plan_cells(
    spec: StageSpec, config: EvaluateConfig, tasks_by_split: Mapping[str, Sequence[str]]
) -> list[Cell]:
    """Every cell of an evaluation; those of `asr`, which the cascade's are made from, first."""
    models = {"asr": ["asr"]} if "cascade" in config.models else {}
    models |= compared(config, spec.input_fingerprints)
    trained = spec.input_fingerprints
    return [
        plan_cell(spec, config, model, split, task, name if name in trained else None)
        for model, names in models.items()
        for name in names
        for split, tasks in tasks_by_split.items()
        for task in (["transcribe"] if model == "asr" else tasks)
    ]


def compared(config: EvaluateConfig, inputs: Iterable[str]) -> dict[str, list[str]]:
    """What is compared: each model, and the students it stands for or itself."""
    trained = by_model(inputs)
    models = [*config.models, *(model for model in trained if model != AURA)]
    return {model: trained.get(model, [model]) for model in models}


def plan_cell(
    spec: StageSpec,
    config: EvaluateConfig,
    model: str,
    split: str,
    task: str,
    student: str | None = None,
) -> Cell:
    """The cell of one (model, split, task); `student` names the input a student comes from."""
    # What a student is called in an ablation does not change what it says.
    kind = model if student is None else AURA
    identity = {"model": kind, "split": split, "task": task, "max_items": config.max_items}
    inputs = {stage: spec.input_fingerprints[stage] for stage in MODEL_INPUTS[kind]}
    if student:
        inputs[MAIN] = spec.input_fingerprints[student]
    if model == "asr":
        identity["asr"] = spec.identity["pinned"]["asr"]
    else:
        identity["max_new_tokens"] = config.max_new_tokens
    if model == "cascade":
        inputs["transcripts"] = plan_cell(spec, config, "asr", split, "transcribe").fingerprint
    return Cell(model, split, task, identity, inputs, spec.root, student)


def is_complete(cell: Cell) -> bool:
    """Whether the cell's predictions are there."""
    return read_manifest(cell.uri) is not None


def publish_cell(cell: Cell, predictions: Sequence[Prediction]) -> None:
    """Write the predictions, then the manifest that makes them count."""
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


def load_cell(cell: Cell) -> list[Prediction]:
    """The predictions of a complete cell."""
    return read_predictions(cell.predictions_uri)
