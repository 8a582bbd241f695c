"""`results.parquet`: one row a figure, with what it was made from, to be read beside others."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest
from aura_core.evaluation.table import Row

NAME = "results.parquet"

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
