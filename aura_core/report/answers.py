"""What models answered to one question beside what was right, and where they disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jiwer
import numpy as np
from rapidfuzz.distance import Levenshtein

from aura_core.evaluation.items import TRANSCRIPTION
from aura_core.evaluation.scorers.meaning import are_meanings
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.transcript import normalise
from aura_core.evaluation.scoring import scorer_of
from aura_core.report.labels import NOT_RIVALS, ModelLabel, models_in

# Differences between a reference and a model's output, for the eye.

_EDGE_PUNCTUATION = ".,;:!?\"'()[]"


class Difference(NamedTuple):
    """A run of words or a slot: `kind` is equal, substitute, delete or insert."""

    kind: str
    reference: str
    output: str


def compare_words(reference: str, output: str) -> list[Difference]:
    """Align two texts word by word; case and punctuation at a word's edges do not count.

    Words are shown as they were written, unlike in the WER, which normalises them.
    """
    expected, actual = reference.split(), output.split()
    if not expected or not actual:
        kind = "delete" if expected else "insert"
        return [Difference(kind, reference, output)] if expected or actual else []
    alignment = jiwer.process_words(_keys(expected), _keys(actual)).alignments[0]
    return [
        Difference(
            str(chunk.type),
            " ".join(expected[chunk.ref_start_idx : chunk.ref_end_idx]),
            " ".join(actual[chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in alignment
    ]


def compare_meanings(reference: str, output: str) -> list[Difference]:
    """Compare two meanings (`intent; slot=value; ...`) by slot, in the reference's order.

    The order of the slots does not count, and values are compared as in the score.
    """
    intent, expected = _read_slots(reference)
    said_intent, actual = _read_slots(output)
    differences = [_compare(intent, said_intent, _same(intent, said_intent))]
    for name, part in expected.items():
        said = actual.pop(name, "")
        differences.append(_compare(part, said, _same(_value(part), _value(said))))
    return differences + [Difference("insert", "", part) for part in actual.values()]


def _read_slots(text: str) -> tuple[str, dict[str, str]]:
    """The intent, and each slot's part as written by the slot's name."""
    intent, *parts = (part.strip() for part in text.split(";"))
    return intent, {part.partition("=")[0].strip().casefold(): part for part in parts if part}


def _value(part: str) -> str:
    return part.partition("=")[2]


def _same(reference: str, output: str) -> bool:
    return normalise(reference) == normalise(output)


def _compare(reference: str, output: str, same: bool) -> Difference:
    if not output:
        return Difference("delete", reference, "")
    return Difference("equal" if same else "substitute", reference, output)


def _keys(words: list[str]) -> str:
    # A word of punctuation alone keeps it: an empty key would shift the alignment.
    return " ".join(word.casefold().strip(_EDGE_PUNCTUATION) or word for word in words)


# Which utterances tell the models apart.

# What is graded by others is compared by its words alone: a page asks nobody anything.
_COSTLY = ("judge", "pedant")
# Words decide between utterances that are scored alike.
_WORDS_COUNT = 0.1


def disagreements(task: str, by_model: Mapping[str, Mapping[str, Prediction]]) -> dict[str, float]:
    """How much the models disagree on each utterance that all of them were asked.

    The standard deviation over models of the utterance's own score, between 0 and 1, and a tenth
    of the mean distance of their words.

    Args:
        task: of the rows the predictions make: `respond/heldout`, or a benchmark.
        by_model: model -> utterance -> prediction. The upper bound and the ASR are left out if
            two others are left.
    """
    rivals = {model: found for model, found in by_model.items() if model not in NOT_RIVALS}
    compared = rivals if len(rivals) > 1 else by_model
    ids = [i for i in next(iter(compared.values()), {}) if all(i in f for f in compared.values())]
    if not ids:
        return {}
    columns = [[found[i] for i in ids] for found in compared.values()]
    scores = np.array([item_scores(task, column) or [0.0] * len(ids) for column in columns])
    spread = scores.std(axis=0)
    words = [
        _distance([column[place].prediction for column in columns]) for place in range(len(ids))
    ]
    return {i: float(s + _WORDS_COUNT * w) for i, s, w in zip(ids, spread, words, strict=True)}


def item_scores(task: str, predictions: Sequence[Prediction]) -> list[float] | None:
    """Each prediction's own score in the primary metric, 0 to 1; 0 where it does not exist.

    Returns:
        None where nothing is known of the task, or scoring would ask others.
    """
    scorer = scorer_of(task)
    if scorer is None or scorer.name in _COSTLY:
        return None
    statistic = scorer.score(predictions)[scorer.primary]
    values = np.nan_to_num(np.asarray(statistic.of_sums(statistic.columns), dtype=np.float64))
    # BLEU goes to 100.
    top = 100.0 if scorer.name == "bleu" else 1.0
    return [float(value) for value in np.clip(values / top, 0, 1)]


def _distance(texts: Sequence[str]) -> float:
    """Mean over pairs of the normalised Levenshtein distance of their words."""
    words = [normalise(text).split() for text in texts]
    pairs = [(a, b) for i, a in enumerate(words) for b in words[i + 1 :]]
    return (
        float(np.mean([Levenshtein.normalized_distance(*pair) for pair in pairs])) if pairs else 0.0
    )


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
