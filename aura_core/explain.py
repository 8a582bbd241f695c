"""Why a stage is kept or run, told by comparing it with the artifacts that exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aura_core.artifacts import store
from aura_core.artifacts.fingerprint import canonical_json
from aura_core.artifacts.manifest import Manifest, read_manifest
from aura_core.pipeline import StageSpec

_ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One field, as the nearest artifact has it and as this run wants it."""

    field: str
    found: Any
    wanted: Any


@dataclass(frozen=True)
class StageStatus:
    """Kept or run; in the latter case the nearest artifact of that stage, if there is one."""

    spec: StageSpec
    kept: bool
    nearest_fingerprint: str | None = None
    difference: Difference | None = None


def explain(specs: Mapping[str, StageSpec]) -> list[StageStatus]:
    """Return the status of every stage, in the order of `specs`."""
    return [explain_stage(spec) for spec in specs.values()]


def explain_stage(spec: StageSpec) -> StageStatus:
    """Return the status of one stage. Reads its siblings only where it is to be run."""
    if read_manifest(spec.uri) is not None:
        return StageStatus(spec, kept=True)
    nearest = nearest_manifest(spec, list(sibling_manifests(spec)))
    if nearest is None:
        return StageStatus(spec, kept=False)
    return StageStatus(
        spec,
        kept=False,
        nearest_fingerprint=nearest.fingerprint,
        difference=first_difference(manifest_fields(nearest), spec_fields(spec)),
    )


def sibling_manifests(spec: StageSpec) -> Iterator[Manifest]:
    """Yield the manifests of the complete artifacts of the same stage below the same root."""
    folder = store.join(spec.root, spec.stage)
    for name in store.list_names(folder):
        manifest = read_manifest(store.join(folder, name))
        if manifest is not None:
            yield manifest


def nearest_manifest(spec: StageSpec, manifests: list[Manifest]) -> Manifest | None:
    """Return the manifest with the most equal fields; of equally near ones the newest."""
    wanted = spec_fields(spec)

    def nearness(manifest: Manifest) -> tuple[int, str]:
        found = manifest_fields(manifest)
        equal = sum(_same(found.get(name, _ABSENT), value) for name, value in wanted.items())
        return equal, manifest.provenance.get("created_at", "")

    return max(manifests, key=nearness, default=None)


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Difference | None:
    """Return the first field that differs, in the order of `wanted`; then what only `found` has."""
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        pair = found.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if not _same(*pair):
            return Difference(name, *pair)
    return None


def spec_fields(spec: StageSpec) -> dict[str, Any]:
    """Every hashed field of a spec by its dotted name; inputs last, their cause lies upstream."""
    inputs = {name: value[:12] for name, value in spec.input_fingerprints.items()}
    return _fields(spec.stage_version, spec.identity, inputs)


def manifest_fields(manifest: Manifest) -> dict[str, Any]:
    """The same fields of an existing artifact."""
    inputs = {name: uri.rstrip("/").rsplit("/", 1)[-1] for name, uri in manifest.inputs.items()}
    return _fields(manifest.stage_version, manifest.identity, inputs)


def _same(found: Any, wanted: Any) -> bool:
    """Whether two values are hashed alike: 32 and 32.0 are not."""
    return canonical_json(found) == canonical_json(wanted)


def _fields(
    stage_version: int, identity: Mapping[str, Any], inputs: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "stage_version": stage_version,
        **dict(flatten(identity)),
        **{f"inputs.{name}": value for name, value in inputs.items()},
    }


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, leaf); an empty list or mapping is a leaf."""
    prefix = f"{name}." if name else ""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{prefix}{key}")
    elif isinstance(value, list | tuple) and value:
        for i, item in enumerate(value):
            yield from flatten(item, f"{prefix}{i}")
    else:
        yield name, value
