"""The stages of the pipeline, and from a config to what each of them makes, and where.

Nothing here runs a stage or imports torch, so a fully cached run stays instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xxhash
from pydantic import BaseModel, ConfigDict

from aura_core.artifacts import store
from aura_core.artifacts.digest import fingerprint
from aura_core.artifacts.manifest import read_manifest
from aura_core.benchmarks.embedded_texts import source_text
from aura_core.config.benchmarks import BENCHMARKS, EMBEDDED, SCORER_VERSIONS, is_text_task
from aura_core.config.instructions import ordinary_instructions_text
from aura_core.config.overrides import MAIN, students
from aura_core.config.run import BenchmarkConfig, Config, EvaluateConfig
from aura_core.config.stage import Runtime, StageConfig
from aura_core.config.train import TrainConfig
from aura_core.config.voices import VOICE, espeak_digest, second_voice
from aura_core.errors import AuraError
from aura_core.ingest.source import content_digests, source_digests
from aura_core.models.references import digest

# The page of the stage `report`.
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class Stage:
    """A kind of artifact. Its settings are the field of `Config` that has the stage's name.

    Attributes:
        title: what reports call it.
        version: raised by hand when the code of the stage changes what it makes.
        inputs: the stages whose artifacts it reads.
        driver: the module below `tasks.jobs` that makes it.
        uses_ray: whether the driver needs a Ray.
    """

    title: str
    version: int
    inputs: tuple[str, ...]
    driver: str
    uses_ray: bool = True


# In the order in which they run.
STAGES: dict[str, Stage] = {
    "ingest": Stage("Ingest", 2, (), "ingest"),
    "teacher_cache": Stage("Teacher cache", 3, ("ingest",), "teacher_cache"),
    "text_lora": Stage("Text LoRA", 3, ("teacher_cache",), "distil"),
    "targets": Stage("Targets", 1, ("teacher_cache", "text_lora"), "targets"),
    "distil": Stage("Distillation", 6, ("teacher_cache", "text_lora", "targets"), "distil"),
    "benchmark": Stage("Benchmark", 1, (), "benchmark"),
    "evaluate": Stage("Evaluation", 4, ("ingest", "text_lora", "distil", "benchmark"), "evaluate"),
    "report": Stage(
        "Report",
        5,
        ("ingest", "teacher_cache", "text_lora", "distil", "benchmark", "evaluate"),
        "report",
        uses_ray=False,
    ),
}


class StageSpec(BaseModel):
    """Everything a Ray driver needs to make one artifact: frozen, written as `spec.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str  # what the run calls it: the stage, or one of several students
    stage: str
    stage_version: int
    fingerprint: str
    uri: str
    root: str
    identity: dict[str, Any]
    inputs: dict[str, str]
    input_fingerprints: dict[str, str]
    runtime: Runtime

    @property
    def spec_uri(self) -> str:
        return store.join(self.uri, "spec.json")


def plan(config: Config, root: str) -> dict[str, StageSpec]:
    """Return every spec by its name, in the order they run.

    That is one a stage, but for the students of an ablation (`overrides.students`), which are
    all made by the stage `distil`, and for the benchmarks, `benchmark.<name>` each.
    """
    specs: dict[str, StageSpec] = {}
    for stage, inputs in stage_inputs(config).items():
        read = {name: spec for name, spec in specs.items() if spec.stage in inputs}
        for name, stage_config in _configs(config, stage).items():
            specs[name] = _spec(name, stage, stage_config, read, root.rstrip("/"))
    return specs


def stage_inputs(config: Config) -> dict[str, tuple[str, ...]]:
    """The inputs of every stage, without what the config does not use."""
    used = {"targets": config.targets.is_used, "benchmark": bool(config.benchmarks)}
    return {
        name: tuple(read for read in stage.inputs if used.get(read, True))
        for name, stage in STAGES.items()
        if used.get(name, True)
    }


def _configs(config: Config, stage: str) -> Mapping[str, StageConfig]:
    """What a stage makes in this run: the config of each artifact by its name."""
    if stage == MAIN:
        return students(config)
    if stage == "benchmark":
        return {
            f"{stage}.{name}": BenchmarkConfig(name=name, source=source)
            for name, source in config.benchmarks.items()
        }
    return {stage: getattr(config, stage)}


def _spec(
    name: str, stage: str, config: StageConfig, inputs: Mapping[str, StageSpec], root: str
) -> StageSpec:
    identity = {**config.identity(), "pinned": pinned_content(config)}
    input_fingerprints = {name: spec.fingerprint for name, spec in inputs.items()}
    value = fingerprint(stage, STAGES[stage].version, identity, input_fingerprints)
    return StageSpec(
        name=name,
        stage=stage,
        stage_version=STAGES[stage].version,
        fingerprint=value,
        uri=store.join(root, stage, value[:12]),
        root=root,
        identity=identity,
        inputs={name: spec.uri for name, spec in inputs.items()},
        input_fingerprints=input_fingerprints,
        runtime=config.runtime,
    )


def is_complete(spec: StageSpec) -> bool:
    """Whether the stage is finished."""
    return read_manifest(spec.uri) is not None


def pinned_content(config: StageConfig) -> dict[str, str]:
    """What a stage depends on outside the artifact tree: models, source audio, scorers."""
    pinned = {
        name: digest(getattr(config, name))
        for name in ("asr", "teacher", "llm")
        if hasattr(config, name)
    }
    if isinstance(config, EvaluateConfig):
        pinned |= {name: digest(each) for name, each in config.audio_llms.items()}
        pinned["scorers"] = " ".join(f"{name}={each}" for name, each in SCORER_VERSIONS.items())
    if isinstance(config, BenchmarkConfig):
        return pinned_benchmark(config)
    if isinstance(config, TrainConfig) and any(phase.text_every for phase in config.phases):
        text = ordinary_instructions_text().encode()
        pinned["ordinary_instructions"] = f"xxh3:{xxhash.xxh3_128_hexdigest(text)}"
    return pinned | source_digests(config)


def pinned_benchmark(config: BenchmarkConfig) -> dict[str, str]:
    """Version of the benchmark and digests of what it is made from.

    Raises:
        AuraError: if its folder does not exist.
    """
    version = {"version": str(BENCHMARKS[config.name].version)}
    if config.source != EMBEDDED:
        return version | {"content": folder_digest(config.source)}
    version |= {"texts": store.xxh3(source_text(config.name).encode())}
    if is_text_task(config.name):
        return version
    return version | {
        "voice": digest(VOICE),
        "espeak": espeak_digest(),
        "second_voice": second_voice(),
    }


def folder_digest(uri: str) -> str:
    """One digest over the names and contents of all files of a folder."""
    names = store.list_tree(uri)
    if not names:
        raise AuraError(f"{uri} does not exist or is empty: give the folder of the benchmark")
    uris = {store.join(uri, name): name for name in names}
    total = xxhash.xxh3_128()
    for each, content in sorted(content_digests(uris).items()):
        total.update(f"{uris[each]}\0{content}\n".encode())
    return f"xxh3:{total.hexdigest()}"
