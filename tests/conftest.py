"""What every test may share: a quiet environment, and one finished smoke run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.local_prefect import OFFLINE

os.environ.update(OFFLINE)
os.environ.pop("AURA_ROOT", None)
AURA = Path(sys.executable).with_name("aura")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module, and all users of the smoke run, in one process: their fixtures are dear."""
    for item in items:
        shared = "smoke_root" in getattr(item, "fixturenames", ())
        group = "smoke" if shared else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def smoke_root(tmp_path_factory) -> str:
    """Root of a run of recipe `smoke` that went through once, by the command line."""
    root = tmp_path_factory.mktemp("smoke")
    result = subprocess.run(
        [AURA, "run", "--recipe", "smoke", "--root", root],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"the smoke run failed:\n{result.stdout}\n{result.stderr}"
    return str(root)
