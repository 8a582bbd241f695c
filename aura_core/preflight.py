"""What a run relies on, tried before anything starts: the root, the manifest, the models."""

import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aura_core.artifacts import store
from aura_core.artifacts.store import require_reachable
from aura_core.config.overrides import students
from aura_core.config.run import Config, IngestConfig
from aura_core.errors import AuraError
from aura_core.ingest.ingest_plan import plan_ingest
from aura_core.models.pinned import locate
from aura_core.models.references import (
    Reference,
    digest,
    hub_commit,
    local_path,
    parse,
    require_llm_family,
)

_FIRST_UTTERANCES = 20
_HUB_TIMEOUT_S = 10


@dataclass(frozen=True)
class Check:
    """One thing that was tried; what is not `certain` could not be tried from here."""

    what: str
    found: str
    certain: bool = True


def preflight(config: Config, root: str) -> list[Check]:
    """Try everything a run of `config` needs, and say what was found.

    Raises:
        AuraError: for the first thing that cannot be used: what is wrong, and what to do.
    """
    checks = [Check(f"root {root}", _check_root(root))]
    if config.ingest.manifest is not None:
        checks.append(Check(f"manifest {config.ingest.manifest}", _check_manifest(config.ingest)))
    llms = [student.llm for student in (config.text_lora, *students(config).values())]
    models = dict.fromkeys([*_models_of_audio(config), *llms])
    return [*checks, *(check_model(each, each in llms) for each in models)]


def check_model(reference: str, is_llm: bool = False) -> Check:
    """Say whether a model can be loaded, as far as its files tell; none is loaded.

    Args:
        reference: as a config names it.
        is_llm: whether a student is built around it, which only some families allow.

    Raises:
        AuraError: if it cannot: an unknown name or family, a folder without config or weights.
    """
    parsed, what = parse(reference), f"model {reference}"
    if parsed.kind == "pinned":
        locate(parsed.name)
        return Check(what, "installed, and every byte as pinned")
    if parsed.kind == "whisper":
        digest(reference)
        return Check(what, _check_whisper(parsed.name))
    if parsed.kind == "hf":
        return _check_hub_model(parsed, what, is_llm)
    return Check(what, _check_local_model(local_path(parsed), is_llm))


def _models_of_audio(config: Config) -> Iterator[str]:
    """Every model that a stage of this run loads, but the LLMs of its students."""
    if config.ingest.pseudo_label:
        yield config.ingest.asr
    yield config.teacher_cache.teacher
    if "cascade" in config.evaluate.models:
        yield config.evaluate.asr
    yield from config.evaluate.audio_llms.values()


def _check_root(root: str) -> str:
    """Write a file and take it away again."""
    require_reachable(root)
    try:
        if store.is_remote(root):
            probe = store.join(root, f".write-check-{uuid.uuid4().hex}")
            store.write_text(probe, "")
            store.remove(probe)
        else:
            # What is not there yet will be made in the nearest folder that is.
            path = Path(root)
            nearest = next(each for each in (path, *path.parents) if each.exists())
            tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        reason = error.strerror or error
        raise AuraError(f"root {root} cannot be written to ({reason}): use another") from error
    return "can be written to"


def _check_manifest(config: IngestConfig) -> str:
    limit = min(_FIRST_UTTERANCES, config.limit or _FIRST_UTTERANCES)
    plan = plan_ingest(config.model_copy(update={"limit": limit}))
    rejected = list(plan.rejections)
    missing = [
        item.audio_uri
        for part in plan.parts
        for item in part.items
        if not store.exists(item.audio_uri)
    ]
    reasons = [*(f"{each.id}: {each.reason}" for each in rejected),
               *(f"{uri} does not exist" for uri in missing)]  # fmt: skip
    total = plan.num_listed
    if len(reasons) == total:
        raise AuraError(
            f"manifest {config.manifest}: none of its first {total} utterances can be used; "
            f"the first: {reasons[0]}"
        )
    usable = f"of the first {total} utterances {total - len(reasons)} can be used"
    return f"{usable}; the first that cannot: {reasons[0]}" if reasons else usable


def _check_whisper(name: str) -> str:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "whisper")
    there = (folder / f"{name}.pt").is_file()
    return "downloaded" if there else "known; it is downloaded on first use, which was not tried"


def _check_hub_model(reference: Reference, what: str, is_llm: bool) -> Check:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name, commit = reference.name, hub_commit(reference)
    config = try_to_load_from_cache(name, "config.json", revision=commit)
    if isinstance(config, str):
        if is_llm:
            require_llm_family(name, str(json.loads(Path(config).read_text()).get("model_type")))
        return Check(what, "in the hub's cache on this machine")
    try:
        files = HfApi().model_info(name, revision=commit, timeout=_HUB_TIMEOUT_S).siblings or []
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        reason = str(error).splitlines()[0]
        raise AuraError(
            f"{what}: the hub does not give it ({reason}): check its name, and HF_TOKEN if it is "
            "private or gated"
        ) from error
    except Exception as error:  # noqa: BLE001 - the hub client's HTTP library is its own affair
        return Check(what, f"not checked: {' '.join(str(error).split())}", certain=False)
    if "config.json" not in {file.rfilename for file in files}:
        raise AuraError(f"{what} has no config.json of transformers: name another")
    return Check(what, "on the hub; it is downloaded on first use")


def _check_local_model(path: Path, is_llm: bool) -> str:
    if path.is_file():
        return "there"
    config = path / "config.json"
    try:
        kind = json.loads(config.read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuraError(
            f"model {path}: no config.json of transformers that says its model_type: name a folder "
            "made by save_pretrained"
        ) from error
    if is_llm:
        require_llm_family(str(path), str(kind))
    if not any(each.suffix in (".safetensors", ".bin") for each in path.iterdir()):
        raise AuraError(f"model {path}: no weights, neither *.safetensors nor *.bin, in the folder")
    return f"a folder with config and weights of a {kind}"
