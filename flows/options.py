"""The options that say which run: a recipe, changes to it, and a root."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter, validators

from aura_core.artifacts.reach import require_reachable
from aura_core.config import Config
from aura_core.pipeline import StageSpec, plan
from flows import completion
from flows.request import all_overrides, load_config, resolve_root

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
AsJson = Annotated[bool, Parameter("--json")]
T = TypeVar("T")
# `--seconds 1 5` as well as `--seconds 1 --seconds 5`.
Several = Annotated[tuple[T, ...], Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Selection:
    """Which run: a recipe, your changes to it, and where its artifacts live."""

    recipe: Annotated[str, Parameter(completer=completion.recipe_names)] = completion.DEFAULT_RECIPE
    "The settings to start from: `aura recipes` lists them."
    config: str | None = None
    "A YAML or JSON file laid over the recipe: `distil: {lora: {rank: 32}}`."
    manifest: str | None = None
    "Your speech: a .jsonl or .parquet file, a LibriSpeech tree or a folder with metadata.csv."
    pseudo_label: bool = False
    "Let the ASR write the transcripts that the manifest lacks."
    benchmarks: Annotated[
        tuple[str, ...], Parameter(name="--benchmark", completer=completion.benchmark_sources)
    ] = ()
    "Evaluate on NAME=FOLDER too, or a NAME made here, repeatedly: `aura bench-data list`."
    assignments: Annotated[
        tuple[str, ...], Parameter(name="--set", completer=completion.assignments)
    ] = ()
    "`stage.key=value`, any number of times: `aura settings` lists them."
    root: str | None = None
    "Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]"

    @property
    def overrides(self) -> list[str]:
        """All changes to the recipe as assignments; `--set` wins."""
        return all_overrides(self.manifest, self.pseudo_label, self.benchmarks, self.assignments)

    def load(self) -> Config:
        """Return the config: the recipe with all changes to it."""
        return load_config(self.recipe, self.config, self.overrides)

    @property
    def arguments(self) -> list[str]:
        """The same selection as arguments of a command."""
        named = {"--recipe": self.recipe, "--config": self.config, "--manifest": self.manifest}
        repeated = {"--benchmark": self.benchmarks, "--set": self.assignments}
        return [
            *(part for name, value in named.items() if value for part in (name, value)),
            *(["--pseudo-label"] if self.pseudo_label else []),
            *(
                part
                for name, values in repeated.items()
                for each in values
                for part in (name, each)
            ),
            *(["--root", self.root] if self.root else []),
        ]

    @property
    def flow_parameters(self) -> dict[str, Any]:
        """The same selection as the flow's parameters."""
        return {
            "recipe": self.recipe,
            "root": resolve_root(self.root),
            "config_file": self.config,
            "manifest": self.manifest,
            "pseudo_label": self.pseudo_label,
            "benchmarks": self.benchmarks,
            "overrides": self.assignments,
        }

    def plan(self) -> dict[str, StageSpec]:
        """Return every stage's spec. Raises AuraError if the root is out of reach."""
        root = resolve_root(self.root)
        require_reachable(root)
        return plan(self.load(), root)
