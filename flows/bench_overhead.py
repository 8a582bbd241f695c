"""What Prefect and a Ray driver a stage cost, against the stages as plain function calls."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from aura_core.artifacts import store
from aura_core.bench.measure import in_turns
from aura_core.errors import AuraError
from aura_core.stages import StageSpec, is_complete, plan
from flows.options import Selection

Command = Callable[[Selection, Mapping[str, StageSpec], str], list[str]]
# What an error of a subprocess is told from.
_LAST_LINES = 20


def bench_overhead(
    selection: Selection, *, rounds: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Run a whole recipe both ways from nothing, in turns, each in a folder of its own.

    Returns:
        seconds (median over rounds of the difference), share (of the run by the flow), flow_s and
        plain_s of each round, stages.

    Raises:
        AuraError: if a run fails.
    """
    taken: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for number in range(rounds):
        for name in in_turns(list(_COMMANDS), number):
            taken[name].append(_time(name, selection))
            tell(f"round {number + 1}: {name} {taken[name][-1]:.1f} s")
    flow_s, plain_s = taken["flow"], taken["plain"]
    differences = [ours - theirs for ours, theirs in zip(flow_s, plain_s, strict=True)]
    return {
        "seconds": median(differences),
        "share": median(d / ours for d, ours in zip(differences, flow_s, strict=True)),
        "flow_s": flow_s,
        "plain_s": plain_s,
        "stages": len(plan(selection.load(), "")),
    }


def _time(name: str, selection: Selection) -> float:
    with tempfile.TemporaryDirectory(prefix="aura-overhead-") as root:
        specs = plan(selection.load(), root)
        command = _COMMANDS[name](selection, specs, root)
        started = time.perf_counter()
        result = subprocess.run(
            [sys.executable, *command],
            env=os.environ | {"PYTHONPATH": _sources()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if result.returncode or not all(map(is_complete, specs.values())):
            said = "\n".join(result.stdout.splitlines()[-_LAST_LINES:])
            raise AuraError(f"the run ({name}) failed:\n{said}")
        return seconds


def _flow_command(selection: Selection, _specs: Mapping[str, StageSpec], root: str) -> list[str]:
    config = ["--config", selection.config] if selection.config else []
    changes = [word for each in selection.overrides for word in ("--set", each)]
    return ["-m", "flows.main", "run", "--recipe", selection.recipe, *config, *changes,
            "--root", root]  # fmt: skip


def _plain_command(_selection: Selection, specs: Mapping[str, StageSpec], _root: str) -> list[str]:
    for spec in specs.values():
        store.write_text(spec.spec_uri, spec.model_dump_json(indent=2) + "\n")
    return ["-m", "tasks.jobs.in_one_process", *(spec.spec_uri for spec in specs.values())]


def _sources() -> str:
    """So that a subprocess runs this code, wherever it was started."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.getenv("PYTHONPATH")]))


_COMMANDS: Mapping[str, Command] = {"flow": _flow_command, "plain": _plain_command}
