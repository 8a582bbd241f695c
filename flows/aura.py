"""The one flow: speech in, a distilled model, its table and a report out."""

import logging
from collections.abc import Mapping, Sequence

from prefect import flow

from aura_core.errors import AuraError
from aura_core.pipeline import StageSpec, is_complete, plan
from flows.request import choose_stages, load_config, resolve_root
from tasks.stages import STAGE_TASKS

log = logging.getLogger("aura")


@flow(name="aura")
def aura(
    recipe: str = "demo",
    root: str | None = None,
    config_file: str | None = None,
    overrides: list[str] | None = None,
    until: str | None = None,
    only: list[str] | None = None,
    launch: str = "local",
) -> str:
    """Teach a text LLM to hear, from speech to a report; finished stages are skipped.

    Args:
        recipe: A named config to start from.
        root: Folder or s3:// URI of all artifacts. Default: $AURA_ROOT, else ./runs.
        config_file: A YAML or JSON file laid over the recipe.
        overrides: `stage.key=value` assignments, laid over both.
        until: Stop after this stage.
        only: Run these stages and no other; what they read must be there. An evaluation comes with
            its benchmarks.
        launch: `local`, or the address of a Ray cluster's job server (http://host:8265).

    Returns:
        The URI of the last stage's artifact.
    """
    config = load_config(recipe, config_file, overrides or [])
    specs = plan(config, resolve_root(root))
    wanted = choose_stages(until, only)
    require_inputs(specs, wanted)
    todo = [spec for spec in specs.values() if spec.stage in wanted]
    if not todo:
        raise AuraError(f"{', '.join(wanted)}: this config makes none (see {wanted[0]} in --help)")

    for spec in todo:
        last = STAGE_TASKS[spec.stage](spec, where=launch)
    log.info("artifact %s", last)
    return last


def require_inputs(specs: Mapping[str, StageSpec], wanted: Sequence[str]) -> None:
    """Raise AuraError if a wanted stage reads an artifact that is neither there nor wanted."""
    for spec in specs.values():
        if spec.stage not in wanted or is_complete(spec):
            continue
        for name in spec.inputs:
            needed = specs[name]
            if needed.stage not in wanted and not is_complete(needed):
                raise AuraError(
                    f"{spec.stage} reads {needed.uri}, which is not there: run stage "
                    f"{needed.stage} first (aura/full-pipeline makes every stage)"
                )
