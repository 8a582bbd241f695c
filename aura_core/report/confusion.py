"""Which intent was taken for which: counts of reference by predicted intent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aura_core.evaluation.scorers.meaning import are_meanings, joined_intent, parse
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scoring import Answers, scorer_of
from aura_core.report.labels import NOT_RIVALS, ModelLabel, benchmark_title, models_in

# Scorers whose references begin with an intent.
_INTENT_SCORERS = ("meaning", "intent")
# More would not fit a page; the rarer ones are counted together.
_MAX_INTENTS = 20
REST, UNKNOWN = "other intents", "no intent of the set"


@dataclass(frozen=True)
class Cell:
    """How often; `share` is of its row."""

    count: int
    share: float


@dataclass(frozen=True)
class Matrix:
    """One model's counts, all its seeds of training together."""

    model: ModelLabel
    columns: list[str]
    rows: dict[str, list[Cell]]
    right: int
    total: int


@dataclass(frozen=True)
class Confusion:
    """One set of questions."""

    title: str
    matrices: list[Matrix]


def build_confusions(answers: Answers) -> list[Confusion]:
    """A confusion of every set whose references name intents, for every model that hears."""
    found = []
    for task, by_model in answers.items():
        scorer = scorer_of(task)
        if scorer is None or scorer.name not in _INTENT_SCORERS:
            continue
        heard = {model: seeds for model, seeds in by_model.items() if model not in NOT_RIVALS}
        asked = [p.references[0] for seeds in by_model.values() for p in seeds[0].values()]
        if scorer.name == "meaning" and not are_meanings(asked):
            continue
        matrices = [
            count_intents(
                label,
                [p for by_id in heard[label.name] for p in by_id.values()],
                any_joint=scorer.name == "intent",
            )
            for label in models_in(heard)
        ]
        if len({intent for matrix in matrices for intent in matrix.rows}) > 1:
            found.append(Confusion(benchmark_title(task), matrices))
    return found


def count_intents(
    model: ModelLabel, predictions: Sequence[Prediction], any_joint: bool = False
) -> Matrix:
    """Count pairs of intents.

    Of several references the one that was said counts, else the first. With `any_joint` it does
    not matter whether the words of an intent are joined by spaces, `_` or `-`.
    """
    pairs = Counter(_pair(prediction, any_joint) for prediction in predictions)
    totals = Counter[str]()
    for (reference, _), count in pairs.items():
        totals[reference] += count
    names = [name for name, _ in totals.most_common(_MAX_INTENTS)]
    shown = sorted(names)
    places = {name: name if name in names else REST for name in totals}
    grouped = Counter[tuple[str, str]]()
    for (reference, said), count in pairs.items():
        grouped[places[reference], places.get(said, UNKNOWN)] += count
    rows = [*shown, *([REST] if len(totals) > len(names) else [])]
    columns = [*rows, *([UNKNOWN] if any(said == UNKNOWN for _, said in grouped) else [])]
    return Matrix(
        model=model,
        columns=columns,
        rows={row: _cells(row, columns, grouped) for row in rows},
        right=sum(count for (reference, said), count in pairs.items() if reference == said),
        total=sum(pairs.values()),
    )


def _cells(row: str, columns: Sequence[str], counts: Counter[tuple[str, str]]) -> list[Cell]:
    found = [counts[row, column] for column in columns]
    whole = sum(found) or 1
    return [Cell(count, round(count / whole, 4)) for count in found]


def _pair(prediction: Prediction, any_joint: bool) -> tuple[str, str]:
    said = _intent(prediction.prediction, any_joint)
    references = [_intent(reference, any_joint) for reference in prediction.references]
    return (said if said in references else references[0]), said


def _intent(text: str, any_joint: bool) -> str:
    return joined_intent(text) if any_joint else parse(text).intent
