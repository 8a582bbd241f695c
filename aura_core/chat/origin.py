"""Where a model is from and how well it hears, as one line for whoever uses it."""

import json

from aura_core.ablation import AURA, MAIN, by_model
from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, require_manifest
from aura_core.errors import AuraError
from aura_core.evaluation.find import newest_evaluation_of
from aura_core.evaluation.question_sets import TRANSCRIPTION
from aura_core.evaluation.table import Row, read_results
from aura_core.recipe_name import recipe_name
from aura_core.student.file_names import TRAIN_CONFIG

_TRANSCRIBE = f"{TRANSCRIPTION}/"
_HELD_OUT = f"{_TRANSCRIBE}heldout"
# What an exported folder's config has of the run that made it.
ORIGIN = "origin"


def origin_of(uri: str) -> str:
    """Describe a distil artifact by its newest evaluation, or a folder of `aura export`."""
    if not store.exists(store.join(uri, TRAIN_CONFIG)):
        told = json.loads(store.read_text(store.join(uri, "config.json"))).get(ORIGIN)
        return f"{uri}: {told}" if told else uri
    return f"{uri}, {figures_of(uri)}"


def figures_of(uri: str) -> str:
    """The recipe and held-out WER of a distil artifact."""
    # An artifact lies at ROOT/distil/NAME.
    found = newest_evaluation_of(uri, uri.rstrip("/").rsplit("/", 2)[0])
    if found is None:
        return "not evaluated yet"
    evaluation, manifest, role = found
    return _figures(evaluation, manifest, next(iter(by_model([role])), AURA))


def origin_in(evaluation: str, manifest: Manifest, model: str, role: str) -> str:
    """Describe a model of an evaluation; `role` is the input that it is loaded from."""
    return f"{manifest.inputs[role]}, {_figures(evaluation, manifest, model)}"


def _figures(evaluation: str, manifest: Manifest, model: str) -> str:
    try:
        wer = _wer(read_results(evaluation), model)
    except AuraError:
        # A model is used without its figures, too.
        wer = "WER not readable"
    return f"recipe {_recipe(evaluation, manifest)}, {wer}"


def _recipe(evaluation: str, manifest: Manifest) -> str:
    try:
        # An evaluation does not read the teacher cache itself.
        trained = require_manifest(manifest.inputs[MAIN]).inputs if MAIN in manifest.inputs else {}
        return recipe_name({**trained, **manifest.inputs, "evaluate": evaluation})
    except AuraError:
        return "unknown, as what it was made from is not here"


def _wer(rows: list[Row], model: str) -> str:
    found = [
        row
        for row in rows
        if row.model == model
        and row.metric == "wer"
        and row.slice is None
        and row.task.startswith(_TRANSCRIBE)
    ]
    if not found:
        return "WER not measured"
    row = next((each for each in found if each.task == _HELD_OUT), found[0])
    split = "held-out" if row.task == _HELD_OUT else row.task.removeprefix(_TRANSCRIBE)
    return f"{split} WER {row.value:.2f} ({row.ci_low:.2f} to {row.ci_high:.2f}, n = {row.n})"
