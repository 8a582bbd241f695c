import subprocess
import sys

import pytest

from aura_core.errors import AuraError
from aura_core.evaluation.table import (
    Difference,
    Row,
    read_differences,
    read_results,
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
    assert read_differences(str(tmp_path)) == [difference]


def test_missing_and_damaged_results_are_named(tmp_path):
    with pytest.raises(AuraError, match="run the evaluation first"):
        read_results(str(tmp_path))
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(AuraError, match="damaged"):
        read_results(str(tmp_path))


def test_reading_results_imports_no_torch():
    code = "import sys, aura_core.evaluation.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
