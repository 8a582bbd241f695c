"""What a run would have to do, stage by stage, before anything is started."""

from aura_core.ablation import students
from aura_core.artifacts.manifest import Manifest
from aura_core.benchmarks.benchmark import EMBEDDED
from aura_core.config import Config
from aura_core.memory import training_memory
from aura_core.models.llm_shape import LlmShape
from aura_core.train_config import TrainConfig

_AFTER_INGEST = "known once ingest is done"


def forecast(
    config: Config, ingest: Manifest | None, llm: LlmShape | None = None
) -> dict[str, str]:
    """Return a line about the work of each stage, and of each student of an ablation.

    Args:
        config: of the run.
        ingest: manifest of its utterance table; without it the amount of speech is not known.
        llm: with it, the memory of training is estimated, for clips of the mean length.
    """
    return {
        "ingest": _ingest(config),
        "teacher_cache": _teacher_cache(config, ingest),
        "text_lora": _training(config.text_lora, ingest, llm),
        "targets": f"what {config.text_lora.llm} says to every transcript",
        **{name: _training(each, ingest, llm) for name, each in students(config).items()},
        **{f"benchmark.{name}": _benchmark(source) for name, source in config.benchmarks.items()},
        "evaluate": _evaluate(config, ingest),
        "report": "one HTML page",
    }


def _ingest(config: Config) -> str:
    if config.ingest.manifest is not None:
        return f"every utterance of {config.ingest.manifest}"
    demo = config.ingest.demo
    total = (
        demo.train_utterances
        + demo.heldout_utterances
        + demo.phrasing_utterances
        + demo.voice_utterances
    )
    return f"{total:,} synthetic utterances"


def _teacher_cache(config: Config, ingest: Manifest | None) -> str:
    if ingest is None:
        return _AFTER_INGEST
    settings = config.teacher_cache
    utterances = sum(ingest.counts.get(f"split {split}", 0) for split in settings.splits)
    shards = -(-utterances // settings.shard_utterances)
    hours = sum(ingest.metrics["hours"].get(split, 0.0) for split in settings.splits)
    return f"{utterances:,} utterances ({hours:.2f} h of audio) in {shards:,} shards"


def _training(config: TrainConfig, ingest: Manifest | None, llm: LlmShape | None) -> str:
    steps = sum(phase.steps for phase in config.phases)
    clips = sum(phase.steps * phase.batch_utterances for phase in config.phases)
    phases = ", ".join(f"{phase.name} {phase.steps}" for phase in config.phases)
    line = f"{steps:,} steps ({phases}), {clips:,} clips"
    if ingest is None:
        return line
    utterances = ingest.counts.get("split train", 0)
    seconds = 3600 * ingest.metrics["hours"].get("train", 0.0)
    if not utterances:
        return line
    line += f", {clips / utterances:.1f} epochs"
    if config.input == "audio":
        positions = clips / utterances * seconds * config.audio_embedding.token_rate_hz
        line += f", {positions:,.0f} audio positions"
    if llm is None:
        return line
    needed = training_memory(config, llm, seconds / utterances).total
    return f"{line}, about {needed / 1e9:.1f} GB of memory a worker"


def _benchmark(source: str) -> str:
    return "made here" if source == EMBEDDED else f"items of {source}"


def _evaluate(config: Config, ingest: Manifest | None) -> str:
    models = ", ".join(config.evaluate.models)
    sets = list(config.evaluate.splits or _splits(ingest))
    return f"{models} on {', '.join([*sets, *config.benchmarks])}"


def _splits(ingest: Manifest | None) -> list[str]:
    if ingest is None:
        return ["every split but train"]
    return sorted(set(ingest.metrics["hours"]) - {"train"})
