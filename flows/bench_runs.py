"""What benchmarks of a run have in common: its stages, and how they tell what they found."""

import json
import sys
from typing import Any

from aura_core.pipeline import StageSpec, is_complete
from flows import local_prefect
from flows.options import Selection


def made(selection: Selection, stage: str) -> dict[str, StageSpec]:
    """The selected run's stages; `stage` and what it needs are made now if they are not there."""
    specs = selection.plan()
    if not is_complete(specs[stage]):
        local_prefect.run_flow(**selection.flow_parameters, until=stage, launch="local")
    return specs


def tell(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print what was found, on one line if it is for a program."""
    print(json.dumps(result, indent=None if as_json else 2))
