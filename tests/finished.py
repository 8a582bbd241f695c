"""Stages as if they were made: a manifest without files, for tests that only ask whether it is."""

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.stages import StageSpec


def finish(spec: StageSpec, created_at: str = "2026-01-01") -> None:
    """Write the manifest that completes the artifact of `spec`."""
    manifest = Manifest(
        stage=spec.stage,
        stage_version=spec.stage_version,
        fingerprint=spec.fingerprint,
        identity=spec.identity,
        inputs=spec.inputs,
        files=[],
        provenance={"created_at": created_at},
    )
    write_manifest(spec.uri, manifest)
