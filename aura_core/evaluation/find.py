"""From what a user calls a run to its evaluation, and how well a model of it hears."""

import json
import re

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, newest_artifact, read_manifest, require_manifest
from aura_core.artifacts.store import require_reachable
from aura_core.config.overrides import AURA, MAIN, by_model
from aura_core.config.train import TRAIN_CONFIG
from aura_core.errors import AuraError
from aura_core.evaluation.items import TRANSCRIPTION
from aura_core.evaluation.results import Row, read_results
from aura_core.explain import recipe_name

STAGE = "evaluate"
# The metric under which an evaluation keeps what precision "auto" was on its machine.
AUTO_PRECISION = "auto_precision"
_PREFIX = re.compile(r"[0-9a-f]{3,64}")
# Artifacts are named by so many digits.
_DIGITS = 12


def find_evaluation(name: str, root: str) -> str:
    """Return the URI of a finished evaluation.

    Args:
        name: URI of an evaluation or of a report made from one; the beginning of an evaluation's
            or report's fingerprint below `root`; or another root, whose newest one is meant.
        root: folder or URI of all artifacts.

    Raises:
        AuraError: if it is none of these, or the fingerprint begins several.
    """
    uri = name.rstrip("/")
    require_reachable(uri)
    if found := _artifact(uri):
        return found
    if store.list_names(store.join(uri, STAGE)):
        return newest_artifact(uri, STAGE)
    if _PREFIX.fullmatch(uri):
        return _by_prefix(uri, root)
    raise AuraError(
        f"no evaluation is called {name!r}: give the URI of one, the beginning of its "
        "fingerprint, or the root of other artifacts"
    )


def newest_evaluation_of(student: str, root: str) -> tuple[str, Manifest, str] | None:
    """Find the newest finished evaluation of a distil artifact.

    Args:
        student: URI of the artifact. It is compared by its name: a root may have been moved.
        root: folder or URI of all artifacts.

    Returns:
        The evaluation's URI, its manifest, and the student's role among its inputs.
    """
    found = []
    for each in store.list_names(store.join(root, STAGE)):
        uri = store.join(root, STAGE, each)
        manifest = read_manifest(uri)
        if manifest is None or manifest.stage != STAGE:
            continue
        roles = [role for role, each in manifest.inputs.items() if _name(each) == _name(student)]
        if roles:
            found.append((manifest.provenance.get("created_at", ""), uri, manifest, roles[0]))
    return max(found, key=lambda each: each[:2])[1:] if found else None


def _name(uri: str) -> str:
    return uri.rstrip("/").rsplit("/", 1)[-1]


def _by_prefix(prefix: str, root: str) -> str:
    require_reachable(root)
    found = {}
    for stage in (STAGE, "report"):
        folder = store.join(root, stage)
        for name in store.list_names(folder):
            # A whole fingerprint is longer than a folder's name.
            matches = name.startswith(prefix[:_DIGITS])
            if matches and (uri := _artifact(store.join(folder, name))):
                found[uri] = name
    if not found:
        raise AuraError(f"no finished evaluation or report below {root} begins with {prefix!r}")
    if len(found) > 1:
        raise AuraError(f"{prefix!r} begins several: {', '.join(sorted(found))}")
    return next(iter(found))


def _artifact(uri: str) -> str | None:
    """The evaluation at a URI, or the one its report was made from."""
    manifest = read_manifest(uri)
    if manifest is None:
        return None
    if manifest.stage == STAGE:
        return uri
    evaluation = manifest.inputs.get(STAGE)
    if evaluation is None:
        raise AuraError(f"{uri} is an artifact of {manifest.stage}, no evaluation")
    return evaluation


# Where a model is from and how well it hears, as one line for whoever uses it.

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
