"""Every kind of teacher."""

from collections.abc import Callable
from pathlib import Path

import torch

from aura_core.errors import AuraError
from aura_core.models.references import hub_commit, parse
from aura_core.models.teacher import Teacher
from aura_core.models.whisper_teacher import load_whisper_teacher

# By the `model_type` of transformers: from (reference, device) to a teacher.
TEACHERS: dict[str, Callable[[str, torch.device], Teacher]] = {
    "whisper": load_whisper_teacher,
}


def load_teacher(reference: str, device: torch.device) -> Teacher:
    """Return a frozen teacher in float32.

    Args:
        reference: as in `aura_core.models.references`.
        device: where it runs.

    Raises:
        AuraError: if it is not there, cannot be loaded, or is of a kind that is not in TEACHERS.
    """
    kind = model_type(reference)
    if kind not in TEACHERS:
        raise AuraError(
            f"model {reference!r} is of type {kind!r}; a teacher is one of {', '.join(TEACHERS)} "
            "(docs/extending.md: how to add one)"
        )
    return TEACHERS[kind](reference, device)


def model_type(reference: str) -> str:
    """What transformers calls the kind of a model; what is no folder of its is a Whisper.

    Raises:
        AuraError: if a folder or a repository has no config of transformers.
    """
    parsed = parse(reference)
    is_folder = parsed.kind == "path" and Path(parsed.name).is_dir()
    if parsed.kind != "hf" and not is_folder:
        return "whisper"
    from transformers import PretrainedConfig

    revision = hub_commit(parsed) if parsed.kind == "hf" else "main"
    try:
        config, _ = PretrainedConfig.get_config_dict(parsed.name, revision=revision)
        return str(config["model_type"])
    except (OSError, KeyError) as error:
        raise AuraError(
            f"model {reference!r} has no config.json of transformers that says its model_type"
        ) from error
