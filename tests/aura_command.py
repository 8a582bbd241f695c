"""The `aura` command in a process of its own, as a user's shell runs it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

AURA = Path(sys.executable).with_name("aura")


def run_aura(
    *arguments: object,
    timeout_s: float | None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without a terminal."""
    return subprocess.run(
        [AURA, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
