"""What every test may share: a quiet environment, and one finished smoke run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from flows.local_prefect import OFFLINE

os.environ.update(OFFLINE)
os.environ.pop("AURA_ROOT", None)
AURA = Path(sys.executable).with_name("aura")


@pytest.fixture(scope="session")
def smoke_root(tmp_path_factory, worker_id) -> str:
    """Root of a run of recipe `smoke` that went through once, by the command line.

    The processes of one test session share it: the first to ask makes it.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "smoke"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            result = subprocess.run(
                [AURA, "run", "--recipe", "smoke", "--root", root],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, (
                f"the smoke run failed:\n{result.stdout}\n{result.stderr}"
            )
    return str(root)
