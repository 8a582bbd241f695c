"""The result table: one row a figure, and the file it lives in. Imports nothing heavy."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from aura_core.artifacts import store
from aura_core.errors import AuraError

NAME = "results.json"


class Row(BaseModel):
    """One figure with its 95% interval.

    `task` is `<task>/<split>`, or `latency`; `n` counts utterances. A model trained with
    several seeds has a figure of each; `value` is that of all together, and the interval is
    over seeds and utterances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    task: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    by_seed: list[float] | None = None


class Results(BaseModel):
    """The content of `results.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: list[Row]


def write_results(evaluate_uri: str, rows: Sequence[Row]) -> None:
    """Publish the rows of an evaluation."""
    text = Results(rows=list(rows)).model_dump_json(indent=2, exclude_none=True)
    store.write_text(store.join(evaluate_uri, NAME), text + "\n")


def read_results(evaluate_uri: str) -> list[Row]:
    """Read the rows of an evaluation.

    Raises:
        AuraError: if there are none, or they cannot be read.
    """
    try:
        return Results.model_validate_json(store.read_text(store.join(evaluate_uri, NAME))).rows
    except FileNotFoundError:
        raise AuraError(f"{evaluate_uri} has no {NAME}: run the evaluation first") from None
    except ValidationError as error:
        raise AuraError(
            f"{evaluate_uri}/{NAME} is damaged: delete that folder, run again"
        ) from error
