"""Which models can be talked to in a run, or in what else a user names."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from aura_core.artifacts import store
from aura_core.artifacts.manifest import newest_artifact, require_manifest
from aura_core.chat.load import is_model, load_cascade, load_chat
from aura_core.chat.reply import ChatModel
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.overrides import AURA, MAIN, by_model
from aura_core.config.run import EvaluateConfig
from aura_core.errors import AuraError
from aura_core.evaluation.find import find_evaluation, origin_in, origin_of
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.turns import Turn

CASCADE = "cascade"


@dataclass(frozen=True)
class HeldOut:
    """Speech that a run was evaluated on."""

    ingest_uri: str
    splits: tuple[str, ...] | None  # None: all but train


class RunModels(Mapping[str, ChatModel]):
    """Models by name, each loaded when it is first taken; `held_out` is None outside of runs.

    `origins` say of each model what is known of it.
    """

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], ChatModel]],
        held_out: HeldOut | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self._loaders = loaders
        self._loaded: dict[str, ChatModel] = {}
        self.held_out = held_out
        self._origins = origins or {}

    def __getitem__(self, name: str) -> ChatModel:
        if name not in self._loaded:
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]

    # Mapping's own would load a model to say whether there is one.
    def __contains__(self, name: object) -> bool:
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def prepare(self, *names: str) -> None:
        """Load models and have each answer once: a first answer takes longer than later ones."""
        silence = np.zeros(SAMPLE_RATE, dtype=np.float32)
        for name in names:
            list(self[name].reply([Turn("user", (silence, TRANSCRIBE))], 1))

    @property
    def main(self) -> str:
        """The name of the one that is meant where none is named."""
        return next(iter(self._loaders))

    def describe(self, name: str) -> str:
        """One line for a user: the model's name, where it is from, and its held-out WER."""
        origin = self._origins.get(name)
        return f"model: {name}" + (f", {origin}" if origin else "")

    def only(self, name: str) -> "RunModels":
        """The same without its other models."""
        return RunModels({name: self._loaders[name]}, self.held_out, self._origins)


def find_models(target: str | None, root: str) -> RunModels:
    """Return what can be talked to.

    Args:
        target: a distil artifact or an exported folder, which gives the one model `aura`; or a
            run: an evaluation or a report, the beginning of its fingerprint, or a root, whose
            newest one is meant. A run gives `aura`, its variants (a bridge among them) and
            `cascade`; without an evaluation, its newest student. Or the name of one of these,
            which gives that model of the run at `root`. None: `root` itself.
        root: folder or URI of all artifacts, or another run as above.

    Raises:
        AuraError: if it is none of these.
    """
    place = (target or root).rstrip("/")
    try:
        return _at(place, root)
    except AuraError as error:
        if target is None:
            raise
        names: RunModels | None = None
        with suppress(AuraError):
            names = _at(root.rstrip("/"), root)
        if names is None:
            raise
        if target in names:
            return names.only(target)
        raise AuraError(f"{error}, or one of {', '.join(names)} of {root}") from error


def _at(uri: str, root: str) -> RunModels:
    if is_model(uri):
        return RunModels({AURA: partial(load_chat, uri)}, origins={AURA: origin_of(uri)})
    trained, evaluated = (
        bool(store.list_names(store.join(uri, stage))) for stage in (MAIN, "evaluate")
    )
    if trained and not evaluated:
        newest = newest_artifact(uri, MAIN)
        return RunModels({AURA: partial(load_chat, newest)}, origins={AURA: origin_of(newest)})
    try:
        evaluation = find_evaluation(uri, root)
    except AuraError as error:
        if uri == root.rstrip("/") and not trained and not evaluated:
            raise AuraError(
                f"no trained model at {root}: make one with `aura run`, or name one with --model"
            ) from error
        raise AuraError(
            f"{uri} is no model and no run ({error}): name a distil artifact, a folder of "
            "`aura export`, or a run"
        ) from error
    return _of_evaluation(evaluation)


def _of_evaluation(uri: str) -> RunModels:
    manifest = require_manifest(uri)
    identity = {k: v for k, v in manifest.identity.items() if k in EvaluateConfig.model_fields}
    config = EvaluateConfig.model_validate(identity)
    # Of the students that differ in their seed only, the first.
    students = {name: names[0] for name, names in by_model(manifest.inputs).items()}
    loaders: dict[str, Callable[[], ChatModel]] = {
        name: partial(load_chat, manifest.inputs[student]) for name, student in students.items()
    }
    ingest = manifest.inputs["ingest"]
    loaders[CASCADE] = partial(load_cascade, manifest.inputs["text_lora"], ingest, config)
    origins = {
        name: origin_in(uri, manifest, name, students.get(name, "text_lora")) for name in loaders
    }
    return RunModels(loaders, HeldOut(ingest, config.splits), origins)
