"""What a scorer is, and the predictions that it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.evaluation.bootstrap import Statistic

# Predictions: JSONL keyed by utterance id, what a cell keeps.


class Prediction(BaseModel):
    """One model's output for one utterance, with all that scoring needs.

    `references` are the accepted answers, of which the first is the one shown. `extra` holds
    facts of the item: what it may be sliced by (`voice`, `snr_db`, `duration_s`) and what a
    scorer reads (`instruction_id_list`, `target_language`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    references: tuple[str, ...] = Field(min_length=1)
    prediction: str
    transcript: str | None = None  # what the LLM of a cascade was given
    choices: dict[str, str] | None = None  # letter -> text
    extra: dict[str, JsonValue] = {}


def write_predictions(uri: str, predictions: Sequence[Prediction]) -> None:
    """Publish predictions as JSONL, in the given order."""
    store.write_text(uri, "".join(p.model_dump_json() + "\n" for p in predictions))


def read_predictions(uri: str) -> list[Prediction]:
    """Read predictions back. Raises AuraError naming a line that is not one."""
    predictions = []
    # Not splitlines: JSON leaves line separators such as U+2028 inside strings as they are.
    for number, line in enumerate(store.read_text(uri).split("\n")[:-1], start=1):
        try:
            predictions.append(Prediction.model_validate_json(line))
        except ValidationError as error:
            raise AuraError(f"{uri} line {number} is damaged; delete it and run again") from error
    return predictions


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
