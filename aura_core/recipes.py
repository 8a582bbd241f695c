"""Named, complete configs. A recipe is a function; copy one to make your own."""

from collections.abc import Callable

from aura_core.config import (
    Config,
    DemoCorpusConfig,
    EvaluateConfig,
    IngestConfig,
    LoraConfig,
    Phase,
    TrainConfig,
)
from aura_core.errors import AuraError

# SmolLM2's own template without its default system prompt: 20 positions fewer per sample.
SHORT_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def demo() -> Config:
    """A small assistant that hears, on two CPU cores in about ten minutes."""
    return Config(
        text_lora=TrainConfig(
            input="text",
            chat_template=SHORT_CHATML,
            lora=LoraConfig(rank=16, alpha=32, blocks=30),
            phases=(Phase(name="text", steps=60, distil=0),),
        ),
        distil=TrainConfig(
            input="audio",
            chat_template=SHORT_CHATML,
            phases=(
                Phase(name="align", steps=200, ce=0),
                Phase(name="learn", steps=40),
            ),
        ),
    )


def smoke() -> Config:
    """The whole road in about two minutes, to see that it works; it learns nothing."""
    base = demo()
    return base.model_copy(
        update={
            "ingest": IngestConfig(
                demo=DemoCorpusConfig(
                    train_utterances=24,
                    heldout_utterances=4,
                    phrasing_utterances=4,
                    voice_utterances=4,
                )
            ),
            "text_lora": base.text_lora.model_copy(
                update={"phases": (Phase(name="text", steps=2, batch_utterances=4, distil=0),)}
            ),
            "distil": base.distil.model_copy(
                update={
                    "phases": (
                        Phase(name="align", steps=2, batch_utterances=4, ce=0),
                        Phase(name="learn", steps=2, batch_utterances=4),
                    )
                }
            ),
            "evaluate": EvaluateConfig(max_items=2, latency_items=1, bootstrap_samples=100),
        }
    )


RECIPES: dict[str, Callable[[], Config]] = {"demo": demo, "smoke": smoke}


def recipe(name: str) -> Config:
    """Return the named config. Raises AuraError for an unknown name."""
    try:
        return RECIPES[name]()
    except KeyError:
        raise AuraError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}") from None
