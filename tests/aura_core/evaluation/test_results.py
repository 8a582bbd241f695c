import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from aura_core.artifacts.manifest import Manifest
from aura_core.errors import AuraError
from aura_core.evaluation.results import (
    Difference,
    Row,
    read_results,
    read_table,
    write_parquet,
    write_results,
)


def test_rows_come_back(tmp_path):
    row = Row(model="aura", task="latency", metric="m", value=1, ci_low=0.5, ci_high=2, n=3)
    sliced = row.model_copy(update={"slice": "voice=joe"})
    difference = Difference(
        model="aura", other="text", task="t", metric="m", value=0, ci_low=-1, ci_high=1,
        p_value=0.5, n=3,
    )  # fmt: skip
    write_results(str(tmp_path), [row, sliced], [difference])
    assert read_results(str(tmp_path)) == [row, sliced]
    assert read_table(str(tmp_path)).differences == [difference]


def test_missing_and_damaged_results_are_named(tmp_path):
    with pytest.raises(AuraError, match="run the evaluation first"):
        read_results(str(tmp_path))
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(AuraError, match="damaged"):
        read_results(str(tmp_path))


def test_reading_results_imports_no_torch():
    code = "import sys, aura_core.evaluation.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def write(path, rows, **provenance):
    evaluation = Manifest(
        stage="evaluate", stage_version=1, fingerprint="e" * 64, identity={}, inputs={}, files=[],
        provenance=provenance,
    )  # fmt: skip
    write_parquet(str(path), rows, evaluation, "f" * 64, {"ingest": "i", "distil.aura.1": "d"})
    return pq.read_table(path)


def test_every_field_of_a_row_and_where_it_is_from(tmp_path):
    whole = Row(model="aura", task="t", metric="wer", value=0.5, ci_low=0.1, ci_high=0.9, n=7)
    sliced = whole.model_copy(update={"slice": "snr_db=5", "by_seed": [0.25, 0.75]})
    table = write(tmp_path / "r.parquet", [whole, sliced], git_sha="abc", created_at="now")
    first, second = table.to_pylist()
    assert {name: first[name] for name in Row.model_fields} == whole.model_dump()
    assert {name: second[name] for name in Row.model_fields} == sliced.model_dump()
    assert (first["report"], first["evaluate"]) == ("f" * 64, "e" * 64)
    assert dict(first["inputs"]) == {"ingest": "i", "distil.aura.1": "d"}
    assert (first["git_sha"], first["created_at"]) == ("abc", "now")


def test_no_rows_have_the_same_columns(tmp_path):
    row = Row(model="aura", task="t", metric="wer", value=0.5, ci_low=0.1, ci_high=0.9, n=7)
    none, one = write(tmp_path / "a.parquet", []), write(tmp_path / "b.parquet", [row])
    assert none.schema == one.schema
    assert none.num_rows == 0
