"""Which config and which stages a run means."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aura_core.config import Config, merge_file, override
from aura_core.errors import AuraError
from aura_core.pipeline import STAGE_INPUTS
from aura_core.recipes import recipe


def configured(name: str, settings: Mapping[str, Any] | None, overrides: Sequence[str]) -> Config:
    """Return the recipe, with nested `settings` laid over it, then the assignments."""
    config = recipe(name)
    if settings:
        # Every JSON text is YAML.
        config = merge_file(config, json.dumps(settings))
    return override(config, overrides)


def stages_wanted(until: str | None, only: Sequence[str] | None) -> tuple[str, ...]:
    """Return stages in the order they run: all, what `until` needs, or exactly `only`.

    Raises:
        AuraError: for a name that is no stage, or for both at once.
    """
    if until and only:
        raise AuraError("give until or only, not both")
    for name in [until, *(only or [])]:
        if name and name not in STAGE_INPUTS:
            raise AuraError(f"no stage {name!r}: the stages are {', '.join(STAGE_INPUTS)}")
    wanted = set(only or STAGE_INPUTS)
    if until:
        wanted = {until, *_upstream(until)}
    return tuple(stage for stage in STAGE_INPUTS if stage in wanted)


def _upstream(stage: str) -> set[str]:
    direct = STAGE_INPUTS[stage]
    return set(direct).union(*(_upstream(name) for name in direct))
