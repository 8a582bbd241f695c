"""What the models answered to one question, beside what was right."""

from collections.abc import Mapping
from dataclasses import dataclass

from aura_core.evaluation.meaning import are_meanings
from aura_core.evaluation.prediction_files import scorer_of
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.question_sets import TRANSCRIPTION
from aura_core.report.differences import Difference, compare_meanings, compare_words
from aura_core.report.disagreement import item_scores
from aura_core.report.labels import ModelLabel, models_in

# Scorers of what should be said word by word; of other answers only their worth is shown.
_BY_WORDS = ("wer", "meaning", "bleu")
RIGHT, WRONG = "exact", "missed"


@dataclass(frozen=True)
class Output:
    """One model's answer, word by word beside the reference where that says something."""

    model: ModelLabel
    differences: list[Difference]
    mark: str  # RIGHT, WRONG, or nothing where the words show it or this page cannot tell
    transcript: str | None  # what a cascade's LLM was given


@dataclass(frozen=True)
class Answer:
    """One question of a sample."""

    instruction: str
    reference: str
    also: list[str]  # further accepted answers
    is_transcript: bool
    is_meaning: bool
    outputs: list[Output]


def build_answer(task: str, instruction: str, by_model: Mapping[str, Prediction]) -> Answer:
    """Lay the answers of the models side by side; at least one.

    Args:
        task: of the rows they make, `respond/heldout` or a benchmark.
        instruction: what was asked in writing.
        by_model: model -> its prediction for one and the same utterance.
    """
    first = next(iter(by_model.values()))
    scorer = scorer_of(task)
    is_transcript = task.startswith(f"{TRANSCRIPTION}/")
    is_meaning = not is_transcript and are_meanings([first.references[0]])
    by_words = scorer is None or scorer.name in _BY_WORDS
    outputs = []
    for label in models_in(by_model):
        prediction = by_model[label.name]
        differences = _differences(prediction, is_meaning, by_words)
        outputs.append(
            Output(
                model=label,
                differences=differences,
                mark=_mark_words(differences) if by_words else _mark_score(task, prediction),
                transcript=None if is_transcript else prediction.transcript,
            )
        )
    reference, *also = _written(first)
    return Answer(instruction, reference, also, is_transcript, is_meaning, outputs)


def _differences(prediction: Prediction, is_meaning: bool, by_words: bool) -> list[Difference]:
    said = prediction.prediction
    if not by_words:
        return [Difference("equal", said, said)] if said.strip() else []
    compare = compare_meanings if is_meaning else compare_words
    return compare(prediction.references[0], said)


def _mark_words(differences: list[Difference]) -> str:
    return RIGHT if all(each.kind == "equal" for each in differences) else ""


def _mark_score(task: str, prediction: Prediction) -> str:
    scores = item_scores(task, [prediction])
    if scores is None:
        return ""
    return RIGHT if scores[0] == 1.0 else WRONG


def _written(prediction: Prediction) -> list[str]:
    """The accepted answers; of a multiple choice with the text of the letter."""
    choices = prediction.choices or {}
    return [
        f"{each}: {choices[each]}" if each in choices else each for each in prediction.references
    ]
