"""Utterances to listen to, with what each model made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aura_core.artifacts import store
from aura_core.corpus.table import decode_audio, read_table
from aura_core.evaluation.meaning import are_meanings
from aura_core.evaluation.predictions import Prediction, read_predictions
from aura_core.report.clips import audio_data_uri, waveform
from aura_core.report.differences import Difference, compare_meanings, compare_words
from aura_core.report.grid import MODELS, ModelLabel, model_label

# (model, split, task) -> utterance id -> prediction
Predictions = dict[tuple[str, str, str], dict[str, Prediction]]


@dataclass(frozen=True)
class Output:
    """One model's answer, word by word beside the reference."""

    model: ModelLabel
    differences: list[Difference]
    is_exact: bool
    transcript: str | None  # what a cascade's LLM was given


@dataclass(frozen=True)
class Answer:
    """One task of a sample."""

    task: str
    instruction: str
    reference: str
    is_meaning: bool
    outputs: list[Output]


@dataclass(frozen=True)
class Sample:
    """One utterance of the page."""

    id: str
    split: str
    speaker: str | None
    duration_s: float
    audio_uri: str
    waveform: list[float]
    answers: list[Answer]


def read_all_predictions(evaluate_uri: str) -> Predictions:
    """Every `predictions/<model>.<split>.<task>.jsonl` of an evaluation."""
    folder = store.join(evaluate_uri, "predictions")
    found: Predictions = {}
    for name in store.list_names(folder):
        model, _, rest = name.removesuffix(".jsonl").partition(".")
        split, _, task = rest.rpartition(".")
        predictions = read_predictions(store.join(folder, name))
        found[model, split, task] = {prediction.id: prediction for prediction in predictions}
    return found


def build_samples(ingest_uri: str, predictions: Predictions, wanted: int) -> list[Sample]:
    """Build up to `wanted` samples, the splits taking turns.

    Within a split they are spaced evenly over the ids, blind to the results.
    """
    ids_by_split: dict[str, set[str]] = {}
    for (_, split, _), by_id in predictions.items():
        ids_by_split.setdefault(split, set()).update(by_id)
    chosen = choose_ids({split: sorted(ids) for split, ids in ids_by_split.items()}, wanted)
    samples = []
    for split, ids in chosen.items():
        rows = {row["id"]: row for row in read_table(ingest_uri, splits=[split]).to_pylist()}
        samples += [_sample(rows[i], split, predictions) for i in ids if i in rows]
    return samples


def choose_ids(ids_by_split: Mapping[str, Sequence[str]], wanted: int) -> dict[str, list[str]]:
    """Share `wanted` places over the splits; a small split leaves its places to the others."""
    places = dict.fromkeys(sorted(ids_by_split), 0)
    left = wanted
    while left > 0:
        open_splits = [split for split in places if places[split] < len(ids_by_split[split])]
        if not open_splits:
            break
        for split in open_splits[:left]:
            places[split] += 1
        left -= len(open_splits[:left])
    return {
        split: [ids_by_split[split][i * len(ids_by_split[split]) // n] for i in range(n)]
        for split, n in places.items()
        if n
    }


def _sample(row: Mapping[str, Any], split: str, predictions: Predictions) -> Sample:
    audio = decode_audio(row["audio"]["bytes"])
    tasks = [task for task in ("transcribe", "respond") if _models(predictions, split, task, row)]
    return Sample(
        id=row["id"],
        split=split,
        speaker=row["speaker"],
        duration_s=row["duration_s"],
        audio_uri=audio_data_uri(audio),
        waveform=waveform(audio),
        answers=[_answer(row, split, task, predictions) for task in tasks],
    )


def _models(
    predictions: Predictions, split: str, task: str, row: Mapping[str, Any]
) -> dict[str, Prediction]:
    return {
        model: predictions[model, split, task][row["id"]]
        for model in MODELS
        if row["id"] in predictions.get((model, split, task), {})
    }


def _answer(row: Mapping[str, Any], split: str, task: str, predictions: Predictions) -> Answer:
    by_model = _models(predictions, split, task, row)
    reference = next(iter(by_model.values())).references[0]
    is_meaning = task == "respond" and are_meanings([reference])
    compare = compare_meanings if is_meaning else compare_words
    return Answer(
        task=task,
        instruction="Transcribe." if task == "transcribe" else row["instruction"] or "",
        reference=reference,
        is_meaning=is_meaning,
        outputs=[
            _output(model, prediction, compare(reference, prediction.prediction))
            for model, prediction in by_model.items()
        ],
    )


def _output(model: str, prediction: Prediction, differences: list[Difference]) -> Output:
    return Output(
        model=model_label(model),
        differences=differences,
        is_exact=all(difference.kind == "equal" for difference in differences),
        transcript=prediction.transcript,
    )
