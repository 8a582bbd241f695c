"""From what a user asks for to a config, a root and the stages to run. Imports no Prefect."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from aura_core.artifacts import store
from aura_core.config.benchmarks import EMBEDDED
from aura_core.config.overrides import merge_file, override
from aura_core.config.recipes import recipe
from aura_core.config.run import Config
from aura_core.errors import AuraError, unknown
from aura_core.stages import STAGES, StageSpec, is_complete


def load_config(name: str, config_file: str | None, overrides: Sequence[str]) -> Config:
    """Return the recipe, with the settings of a file laid over it, then the overrides."""
    config = recipe(name)
    if config_file is not None:
        try:
            text = store.read_text(config_file)
        except (FileNotFoundError, IsADirectoryError):
            raise AuraError(f"config file {config_file} does not exist") from None
        config = merge_file(config, text)
    return override(config, overrides)


def all_overrides(
    manifest: str | None,
    pseudo_label: bool,
    benchmarks: Sequence[str],
    assignments: Sequence[str],
) -> list[str]:
    """Return every change to a recipe as `stage.key=value`; `assignments` come last and win."""
    return [
        *manifest_overrides(manifest, pseudo_label),
        *benchmark_overrides(benchmarks),
        *assignments,
    ]


def manifest_overrides(manifest: str | None, pseudo_label: bool) -> list[str]:
    """Return the assignments that `--manifest` and `--pseudo-label` stand for."""
    assignments = []
    if manifest is not None:
        # Drivers may run in another folder. A JSON string is YAML, whatever it holds.
        uri = manifest if store.is_remote(manifest) else str(Path(manifest).expanduser().absolute())
        assignments.append(f"ingest.manifest={json.dumps(uri)}")
    if pseudo_label:
        assignments.append("ingest.pseudo_label=true")
    return assignments


def benchmark_overrides(benchmarks: Sequence[str]) -> list[str]:
    """Return the assignments that `--benchmark NAME` and `--benchmark NAME=FOLDER` stand for."""
    assignments = []
    for each in benchmarks:
        name, given, source = each.partition("=")
        if given and not store.is_remote(source):
            source = str(Path(source).expanduser().absolute())
        assignments.append(f"benchmarks.{name}={json.dumps(source or EMBEDDED)}")
    return assignments


def resolve_root(root: str | None) -> str:
    """Return where artifacts go: the given root, else $AURA_ROOT, else ./runs; absolute.

    Raises:
        AuraError: if that is a file, or names no bucket.
    """
    root = root or os.environ.get("AURA_ROOT") or "runs"
    if store.is_remote(root):
        if not root.partition("://")[2].strip("/"):
            raise AuraError(f"{root} names no bucket: s3://BUCKET or s3://BUCKET/PREFIX")
        return root.rstrip("/")
    folder = Path(root.removeprefix("file://")).expanduser().absolute()
    if folder.is_file():
        raise AuraError(f"{folder} is a file: name a folder as the root of all artifacts")
    return str(folder)


def choose_stages(until: str | None, only: Sequence[str] | None) -> list[str]:
    """Return the stages to run, in order: up to `until`, or `only` these.

    An evaluation comes with its benchmarks: they are read by nothing else.

    Raises:
        AuraError: for a name that is no stage, or if `until` ends before one of `only`.
    """
    stages = list(STAGES)
    for name in [*([until] if until else []), *(only or [])]:
        if name not in STAGES:
            raise unknown("stage", name, stages)
    if until:
        needed = {until, *_upstream(until)}
        if beyond := [name for name in only or [] if name not in needed]:
            raise AuraError(
                f"--only {beyond[0]} contradicts --until {until}, which does not need "
                f"{beyond[0]}: leave one of them out"
            )
        stages = [stage for stage in stages if stage in needed]
    if only:
        named = {*only, *(["benchmark"] if "evaluate" in only else [])}
        stages = [stage for stage in stages if stage in named]
    return stages


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


def _upstream(stage: str) -> set[str]:
    direct = STAGES[stage].inputs
    return set(direct).union(*(_upstream(name) for name in direct))
