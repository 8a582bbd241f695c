"""The result table: one row a figure, its JSON and its Parquet. Imports nothing heavy."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest
from aura_core.errors import AuraError

RESULTS_NAME = "results.json"
# The `task` of rows that time models.
LATENCY = "latency"
TIMINGS_NAME = "latency.jsonl"
# Models that are, or are given, an ASR's transcripts: against that ASR's own they make no error.
GIVEN_TRANSCRIPTS = ("asr", "cascade")


class Row(BaseModel):
    """One figure with its 95% interval.

    `task` is `<task>/<split>`, a benchmark, or `latency`; `slice` is None over all of it, else
    `key=value`; `n` counts utterances. A model trained with several seeds has a figure of each;
    `value` is that of all together, and the interval is over seeds and utterances.
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
    slice: str | None = None


class Difference(BaseModel):
    """By how much `model` is above `other` on the same utterances, with its 95% interval.

    `p_value` is two-sided, of no difference, from so many `resamples`; None where there are too
    few utterances for one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    other: str
    task: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    p_value: float | None = None
    resamples: int = 1000  # the evaluation's default, for tables that do not say
    n: int


class Results(BaseModel):
    """The content of `results.json`.

    `pseudo_labelled` maps a row's `task` to the ASR that wrote references of it, where no person
    did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: list[Row]
    differences: list[Difference] = []
    pseudo_labelled: dict[str, str] = {}

    @property
    def note(self) -> str:
        """What a reader of the figures must know of their references; empty if nothing."""
        if not self.pseudo_labelled:
            return ""
        tasks = ", ".join(sorted(self.pseudo_labelled))
        writers = ", ".join(sorted(set(self.pseudo_labelled.values())))
        note = (
            f"References of {tasks} were written by the ASR {writers}, not by people: a word "
            "error rate there says how far a model is from that ASR"
        )
        compared = {row.model for row in self.rows if row.task in self.pseudo_labelled}
        left_out = "" if compared & set(GIVEN_TRANSCRIPTS) else (
            ", and the cascade, which is given its transcripts, is left out"
        )  # fmt: skip
        return f"{note}{left_out}."


def write_results(
    evaluate_uri: str,
    rows: Sequence[Row],
    differences: Sequence[Difference] = (),
    pseudo_labelled: Mapping[str, str] | None = None,
) -> None:
    """Publish the rows and differences of an evaluation, and who wrote references of a task."""
    results = Results(
        rows=list(rows),
        differences=list(differences),
        pseudo_labelled=dict(pseudo_labelled or {}),
    )
    text = results.model_dump_json(indent=2, exclude_none=True)
    store.write_text(store.join(evaluate_uri, RESULTS_NAME), text + "\n")


def read_results(evaluate_uri: str) -> list[Row]:
    """Read the rows of an evaluation.

    Raises:
        AuraError: if there are none, or they cannot be read.
    """
    return read_table(evaluate_uri).rows


def read_table(evaluate_uri: str) -> Results:
    """Read the rows and differences of an evaluation. Raises as `read_results` does."""
    try:
        return Results.model_validate_json(store.read_text(store.join(evaluate_uri, RESULTS_NAME)))
    except FileNotFoundError:
        raise AuraError(f"{evaluate_uri} has no {RESULTS_NAME}: run the evaluation first") from None
    except ValidationError as error:
        raise AuraError(
            f"{evaluate_uri}/{RESULTS_NAME} is damaged: delete that folder, run again"
        ) from error


class Timing(BaseModel):
    """One clip timed on one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    id: str
    duration_s: float
    ttft_ms: float


def write_timings(uri: str, timings: Sequence[Timing]) -> None:
    """Publish timings as JSONL."""
    store.write_text(uri, "".join(timing.model_dump_json() + "\n" for timing in timings))


# `results.parquet`: one row a figure, with what it was made from, to be read beside others.

PARQUET_NAME = "results.parquet"

# The same for every run, so that files of many can be read as one table.
SCHEMA = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("slice", pa.string()),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64(), nullable=False),
        pa.field("ci_high", pa.float64(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("by_seed", pa.list_(pa.float64())),
        pa.field("report", pa.string(), nullable=False),
        pa.field("evaluate", pa.string(), nullable=False),
        pa.field("inputs", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("created_at", pa.string()),
        pa.field("git_sha", pa.string()),
    ]
)


def write_parquet(
    uri: str,
    rows: Sequence[Row],
    evaluation: Manifest,
    report: str,
    inputs: Mapping[str, str],
) -> None:
    """Publish the rows of an evaluation.

    Args:
        uri: of the file.
        rows: all of them, slices too.
        evaluation: its manifest: fingerprint, time and revision of the code.
        report: fingerprint of the report.
        inputs: fingerprint of everything the report reads, by role: `distil`, `benchmark.<name>`.
    """
    run = {
        "report": report,
        "evaluate": evaluation.fingerprint,
        "inputs": sorted(inputs.items()),
        "created_at": evaluation.provenance.get("created_at"),
        "git_sha": evaluation.provenance.get("git_sha"),
    }
    table = pa.Table.from_pylist([{**row.model_dump(), **run} for row in rows], schema=SCHEMA)
    with store.staged(uri) as path:
        pq.write_table(table, path)
