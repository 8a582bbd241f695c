"""The students of a run: `aura`, and its variants on the same cache, each with every seed."""

from collections.abc import Iterable, Mapping

from aura_core.config import Config
from aura_core.errors import AuraError
from aura_core.overrides import override
from aura_core.train_config import TrainConfig

AURA = "aura"
# The student every run has; the others are `distil.<variant>.<seed>`.
MAIN = "distil"


def students(config: Config) -> dict[str, TrainConfig]:
    """Return every student's config by its name, `distil` first.

    Raises:
        AuraError: naming the variant, if its settings are unknown or contradict each other.
    """
    seeds = config.ablation.seeds or (config.distil.seed,)
    models = {AURA: config.distil}
    models |= {name: _variant(config, name, s) for name, s in config.ablation.variants.items()}
    found = {MAIN: config.distil}
    for variant, student in models.items():
        for seed in seeds:
            if (variant, seed) != (AURA, config.distil.seed):
                found[f"{MAIN}.{variant}.{seed}"] = student.model_copy(update={"seed": seed})
    return found


def by_model(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Group the students among `names` by model: {"aura": ["distil", "distil.aura.1"], ...}."""
    found: dict[str, list[str]] = {}
    for name in names:
        stage, *rest = name.split(".")
        if stage == MAIN:
            found.setdefault(rest[0] if rest else AURA, []).append(name)
    return found


def _variant(config: Config, name: str, settings: Iterable[str]) -> TrainConfig:
    try:
        return override(config, [f"{MAIN}.{setting}" for setting in settings]).distil
    except AuraError as error:
        raise AuraError(f"ablation.variants.{name}: {error}") from error
