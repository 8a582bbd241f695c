"""Which artifact of a stage was made last."""

from aura_core.artifacts import store
from aura_core.artifacts.manifest import read_manifest
from aura_core.artifacts.reach import require_reachable
from aura_core.errors import AuraError


def newest_artifact(root: str, stage: str) -> str:
    """Return the URI of the stage's newest complete artifact.

    Raises:
        AuraError: if there is none, or the root is out of reach.
    """
    require_reachable(root)
    folder = store.join(root, stage)
    found: list[tuple[str, str]] = []
    for name in store.list_names(folder):
        uri = store.join(folder, name)
        manifest = read_manifest(uri)
        if manifest is not None:
            found.append((manifest.provenance.get("created_at", ""), uri))
    if not found:
        raise AuraError(f"no finished {stage} below {root}: `aura run` makes one")
    return max(found)[1]
