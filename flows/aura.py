"""The one flow: speech in, a distilled model, its table and a report out."""

import logging
from collections.abc import Sequence
from typing import Annotated

from prefect import flow, tags
from prefect.runtime import flow_run
from pydantic import WithJsonSchema

from aura_core.config.recipes import RECIPES
from aura_core.distil.trackers import require_packages
from aura_core.errors import AuraError
from aura_core.ingest.source import installable
from aura_core.stages import STAGES, StageSpec, is_complete, plan
from flows import ui_artifacts
from flows.display import summary_lines
from flows.request import (
    all_overrides,
    choose_stages,
    load_config,
    require_inputs,
    resolve_root,
)
from flows.ui_artifacts import run_log
from tasks.stages import STAGE_TASKS, StageRun, launcher

log = logging.getLogger("aura")


# Schemas for the run form in Prefect's UI: a plain field each, with a choice where there is one.
# The form sends the defaults, so they are of the field's type; callers in Python may pass None.
_LAST = list(STAGES)[-1]
_STAGE = {"type": "string", "enum": list(STAGES)}
Recipe = Annotated[str, WithJsonSchema({"type": "string", "enum": list(RECIPES)})]
Text = Annotated[str | None, WithJsonSchema({"type": "string"})]
Texts = Annotated[
    Sequence[str] | None, WithJsonSchema({"type": "array", "items": {"type": "string"}})
]
Stage = Annotated[str | None, WithJsonSchema(_STAGE)]
Stages = Annotated[Sequence[str] | None, WithJsonSchema({"type": "array", "items": _STAGE})]


def _run_name() -> str:
    chosen = flow_run.parameters
    if only := chosen.get("only"):
        return f"{chosen['recipe']}: {', '.join(only)}"
    until = chosen.get("until") or _LAST
    return chosen["recipe"] + ("" if until == _LAST else f" until {until}")


@flow(name="aura", flow_run_name=_run_name)
def aura(
    recipe: Recipe = "demo",
    root: Text = "",
    config_file: Text = "",
    manifest: Text = "",
    pseudo_label: bool = False,
    benchmarks: Texts = (),
    overrides: Texts = (),
    until: Stage = _LAST,
    only: Stages = (),
    launch: str = "local",
) -> str:
    """Teach a text LLM to hear, from speech to a report; finished stages are skipped.

    Args:
        recipe: The settings to start from: `smoke` shows every stage in minutes and learns
            nothing, `demo` trains a small assistant on two cores. `aura recipes` tells them all.
        root: Folder or s3://bucket/prefix of all artifacts. Empty: $AURA_ROOT of the worker
            (what `aura up --root` said), else ./runs. Credentials come from the worker's AWS_*.
        config_file: A YAML or JSON file laid over the recipe, readable by the worker; s3:// too.
        manifest: Your speech: a .jsonl or .parquet file, or a folder of audio, readable by the
            worker; s3:// too. Empty: what the recipe says.
        pseudo_label: Let the ASR write the transcripts that the manifest lacks.
        benchmarks: Evaluate on these too, one NAME=FOLDER each, or a NAME made here, such as
            `spoken_choice`. `aura bench-data list` tells them all.
        overrides: Single settings laid over all that, one `stage.key=value` each, such as
            `distil.lora.rank=32` or `evaluate.max_items=20`. What they change is run again.
        until: Stop after this stage.
        only: Run these stages and no other; what they read must be there. An evaluation comes with
            its benchmarks. Empty: all of them.
        launch: `local` runs the stages on the worker's machine; the address of a Ray cluster's
            dashboard (http://ray-head:8265) sends them there as jobs.

    Returns:
        The URI of the last stage's artifact.
    """
    changes = all_overrides(manifest or None, pseudo_label, benchmarks or [], overrides or [])
    config = load_config(recipe, config_file or None, changes)
    specs = plan(config, resolve_root(root))
    wanted = choose_stages(until, only)
    require_inputs(specs, wanted)
    todo = [spec for spec in specs.values() if spec.stage in wanted]
    if not todo:
        raise AuraError(f"{', '.join(wanted)}: this config makes none (see {wanted[0]} in --help)")
    if launch == "local":
        # On a cluster other packages are installed, and its drivers ask for them.
        require_packages(
            name for spec in todo if not is_complete(spec) for name in spec.runtime.trackers
        )

    with run_log(), tags(f"recipe:{recipe}"):
        makes_corpus = specs["ingest"] in todo and not is_complete(specs["ingest"])
        if makes_corpus and (more := installable(config.ingest)) is not None:
            log.info("%s", more)
        runs = _run_stages(todo, launch)
        for line in summary_lines(runs):
            log.info("%s", line)
    return runs[-1].spec.uri


def _run_stages(todo: Sequence[StageSpec], launch: str) -> list[StageRun]:
    ui_artifacts.publish_explanation({spec.name: spec for spec in todo})
    runs = []
    with launcher(launch, todo) as launch_driver:
        for spec in todo:
            runs.append(STAGE_TASKS[spec.stage](spec, launch_driver))
            ui_artifacts.publish_stage(runs[-1])
    return runs
