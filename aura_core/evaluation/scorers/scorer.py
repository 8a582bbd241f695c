"""What a scorer is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic

Score = Callable[[Sequence[Prediction]], Mapping[str, Statistic]]


@dataclass(frozen=True)
class Scorer:
    """A way to score predictions.

    Attributes:
        name: its key in the table of scorers.
        version: raised when a rule changes, so that figures of two versions are never mixed up.
        score: from predictions to the statistic of each metric, utterances in their order. What
            an utterance counts does not depend on the others.
        primary: the metric that models are compared by.
        require: raises AuraError if what it asks for the score is not there.
    """

    name: str
    version: int
    score: Score
    primary: str
    require: Callable[[], object] = bool  # needs nothing
