"""The layers of the code, and what a fully cached run must not import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("module", ["flows.cli", "aura_core.stages", "aura_core.config.recipes"])
def test_planning_imports_nothing_heavy(module):
    heavy = "{'torch', 'peft', 'whisper', 'transformers', 'ray', 'prefect'}"
    result = run_python(f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))")
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_the_flow_and_its_tasks_import_no_torch_and_no_ray():
    heavy = "{'torch', 'peft', 'whisper', 'transformers', 'ray'}"
    result = run_python(f"import sys, flows.aura; print(sorted({heavy} & set(sys.modules)))")
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_the_driver_of_the_evaluation_leaves_models_to_its_workers():
    heavy = "{'transformers', 'peft'}"
    result = run_python(
        f"import sys, tasks.jobs.evaluate; print(sorted({heavy} & set(sys.modules)))"
    )
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
