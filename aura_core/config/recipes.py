"""Named, complete configs. A recipe is a function; copy one to make your own."""

from collections.abc import Callable

from aura_core.config.augmentation import AugmentationConfig
from aura_core.config.run import (
    YOUR_SPEECH,
    AblationConfig,
    Config,
    DemoCorpusConfig,
    EvaluateConfig,
    IngestConfig,
    TargetsConfig,
    TeacherCacheConfig,
)
from aura_core.config.stage import TEACHER_RATE_HZ, Runtime
from aura_core.config.train import (
    AudioEmbeddingConfig,
    DistillationConfig,
    LoraConfig,
    Phase,
    TargetWeights,
    TrainConfig,
)
from aura_core.errors import unknown

# SmolLM2's own template without its default system prompt: 20 positions fewer per sample.
SHORT_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def demo() -> Config:
    """An assistant that hears, in ten minutes on two CPU cores, and its report."""
    return _assistant(_DEMO_CORPUS, text_steps=85, align_steps=650)


def demo_long() -> Config:
    """The demo's assistant, trained longer on more speech: half an hour on two cores."""
    corpus = _DEMO_CORPUS.model_copy(
        update={
            "train_utterances": 8000,
            "train_voices": ("piper",) * 6 + _LONG_ESPEAK_VOICES,
            "heldout_utterances": 200,
            "phrasing_utterances": 100,
            "voice_utterances": 60,
            "human_utterances": 60,
            "random_words_share": 0.5,
            "random_words": "english",
            "telephone_share": 0.4,
        }
    )
    base = _assistant(corpus, text_steps=125, align_steps=5200)
    augmentation = AugmentationConfig(vtlp_factor=(0.9, 1.1))
    distil = base.distil.model_copy(update={"augmentation": augmentation})
    return base.model_copy(update={"distil": distil})


def ablation() -> Config:
    """AuRA, AuRA without distillation and a bridge, three seeds each: two hours on two cores."""
    base = _dense(text_steps=100, align_steps=300, learn_steps=100)
    distillation = base.distil.distillation.model_copy(update={"time_map": "mean"})
    return base.model_copy(
        update={
            # At the teacher's own rate, so that a bridge may stack states as bridges do.
            "teacher_cache": base.teacher_cache.model_copy(update={"rate_hz": TEACHER_RATE_HZ}),
            "distil": base.distil.model_copy(update={"distillation": distillation}),
            "ablation": AblationConfig(
                variants={
                    "no_distillation": ("phases.*.distil=0",),
                    "bridge": ("phases.*.distil=0", "audio_embedding.stem=encoder"),
                },
                seeds=(0, 1, 2),
            ),
        }
    )


def ablation_losses() -> Config:
    """What distillation adds to cross-entropy where no CTC helps: three seeds, 80 minutes."""
    base = ablation()
    align, learn = base.distil.phases
    phases = (
        align.model_copy(update={"ctc": 0.0, "moments": 0.0}),
        learn.model_copy(update={"ctc": 0.0, "moments": 0.0}),
    )
    # As many full steps as take the time of both phases, `align` running four of thirty blocks.
    full = [f"phases=[{learn.model_copy(update={'steps': 127}).model_dump_json()}]"]
    without = ("phases.*.ctc=0", "phases.*.moments=0")
    return base.model_copy(
        update={
            "distil": base.distil.model_copy(update={"phases": phases}),
            "ablation": AblationConfig(
                variants={
                    "joint": (*full, *without, "phases.*.distil=1"),
                    "cross_entropy": (*full, *without, "phases.*.distil=0"),
                },
                seeds=(0, 1, 2),
            ),
        }
    )


def vora_like() -> Config:
    """The paper's likely template, VoRA, in place of the demo's student (docs/method.md)."""
    base = demo()
    learn = Phase(
        name="learn",
        steps=400,
        batch_utterances=16,
        learning_rate=1e-3,
        warmup_steps=20,
        text_every=5,
    )
    return base.model_copy(
        update={
            # All four of Whisper tiny, and what the first of them is given.
            "teacher_cache": base.teacher_cache.model_copy(update={"layers": (0, 1, 2, 3, 4)}),
            "distil": base.distil.model_copy(
                update={
                    # As large a share of the LLM's width as VoRA's 1024 of 3584.
                    "lora": LoraConfig(rank=160, alpha=160, blocks=4, positions="all"),
                    "audio_embedding": AudioEmbeddingConfig(stem="patch"),
                    "distillation": DistillationConfig(
                        layer_map="one_to_one", teacher_states="raw", head_bias=False
                    ),
                    "phases": (learn,),
                }
            ),
        }
    )


def whisper_small_qwen() -> Config:
    """Whisper small -> Qwen2.5-1.5B-Instruct on one GPU; needs your speech (docs/recipes.md)."""
    one_gpu = Runtime(workers=1, cpus_per_worker=8, gpus_per_worker=1, micro_batch_utterances=16)
    return _real(
        "hf:Qwen/Qwen2.5-1.5B-Instruct",
        teacher="whisper:small",
        layers=(3, 6, 9, 12),
        lora=LoraConfig(rank=128, alpha=128, blocks=8, upper_rank=16, upper_alpha=32),
        steps=(10_000, 10_000),
        batch_utterances=64,
        runtime=one_gpu,
    )


def whisper_large_qwen7b() -> Config:
    """Whisper large-v3 -> Qwen2.5-7B-Instruct on eight GPUs; needs your speech, as above."""
    eight = Runtime(workers=8, cpus_per_worker=8, gpus_per_worker=1, micro_batch_utterances=8)
    return _real(
        "hf:Qwen/Qwen2.5-7B-Instruct",
        teacher="whisper:large-v3",
        layers=(8, 16, 24, 32),
        lora=LoraConfig(rank=256, alpha=256, blocks=12, upper_rank=32, upper_alpha=64),
        steps=(20_000, 20_000),
        batch_utterances=256,
        runtime=eight,
    )


def _real(
    llm: str,
    *,
    teacher: str,
    layers: tuple[int, ...],
    lora: LoraConfig,
    steps: tuple[int, int],
    batch_utterances: int,
    runtime: Runtime,
) -> Config:
    """A config for speech of one's own on GPUs: starting points, not tuned."""
    a_gpu_each = runtime.model_copy(update={"micro_batch_utterances": None})
    align_steps, learn_steps = steps
    return Config(
        ingest=IngestConfig(manifest=YOUR_SPEECH, asr=teacher, runtime=Runtime(workers=16)),
        teacher_cache=TeacherCacheConfig(teacher=teacher, layers=layers, runtime=a_gpu_each),
        text_lora=TrainConfig(
            runtime=runtime,
            input="text",
            llm=llm,
            lora=LoraConfig(rank=16, alpha=32, blocks=None, positions="all"),
            phases=(
                Phase(
                    name="text",
                    steps=1000,
                    batch_utterances=batch_utterances,
                    distil=0,
                    learning_rate=2e-4,
                    warmup_steps=100,
                ),
            ),
        ),
        targets=TargetsConfig(
            self_generated=True, max_new_tokens=256, top_k=16, runtime=a_gpu_each
        ),
        distil=TrainConfig(
            runtime=runtime,
            input="audio",
            llm=llm,
            lora=lora,
            targets=TargetWeights(self_generated=1),
            checkpoint_every_steps=500,
            phases=(
                Phase(
                    name="align",
                    steps=align_steps,
                    batch_utterances=batch_utterances,
                    ce=0,
                    ctc=0.3,
                    moments=0.3,
                    learning_rate=5e-4,
                    warmup_steps=500,
                ),
                Phase(
                    name="learn",
                    steps=learn_steps,
                    batch_utterances=batch_utterances,
                    kl=0.5,
                    distil=0.3,
                    ctc=0.3,
                    moments=0.3,
                    learning_rate=2e-4,
                    warmup_steps=500,
                ),
            ),
        ),
        evaluate=EvaluateConfig(asr=teacher, max_new_tokens=256, runtime=a_gpu_each),
    )


_LONG_ESPEAK_VOICES = tuple(f"espeak-ng:{name}" for name in ("f2", "f4", "m1", "m3", "nyc", "gb"))
# One voice at many pitches and four more of another synthesiser; a third of the sentences are words
# in no order, from which the ear learns how each one sounds and not which comes next; some clips
# have the band of a telephone, as both voices of the tests that training never hears.
_DEMO_CORPUS = DemoCorpusConfig(
    train_voices=("piper", "piper", "piper", "piper", "espeak-ng:f2", "espeak-ng:m3",
                  "espeak-ng:nyc", "espeak-ng:gb"),
    pitch_factor=(0.85, 1.25),
    random_words_share=0.35,
    noise_share=0.02,
    telephone_share=0.3,
    train_utterances=1600,
    voice_utterances=40,
    human_utterances=30,
)  # fmt: skip


def _assistant(corpus: DemoCorpusConfig, *, text_steps: int, align_steps: int) -> Config:
    """Audio handed over as slots: no step runs the blocks above the adapted ones."""
    base = _dense(text_steps=text_steps, align_steps=align_steps, learn_steps=1)
    align = base.distil.phases[0]
    return base.model_copy(
        update={
            "ingest": IngestConfig(demo=corpus),
            "distil": base.distil.model_copy(
                update={
                    "lora": LoraConfig(),
                    "distillation": DistillationConfig(handover="ctc", ctc_tokens=512),
                    "phases": (
                        align.model_copy(update={"learning_rate": 3e-3, "warmup_steps": 40}),
                    ),
                }
            ),
        }
    )


def _dense(*, text_steps: int, align_steps: int, learn_steps: int) -> Config:
    """Audio positions in all blocks: full steps teach those above the adapted ones to read."""
    return Config(
        text_lora=TrainConfig(
            input="text",
            chat_template=SHORT_CHATML,
            lora=LoraConfig(rank=16, alpha=32, blocks=None, positions="all"),
            phases=(
                Phase(
                    name="text",
                    steps=text_steps,
                    batch_utterances=8,
                    distil=0,
                    learning_rate=2e-3,
                    # So that a question that is no request of the grammar's is still answered.
                    text_every=5,
                ),
            ),
        ),
        distil=TrainConfig(
            input="audio",
            chat_template=SHORT_CHATML,
            lora=LoraConfig(upper_rank=16, upper_alpha=32),
            phases=(
                # Audio through the adapted blocks only, which is far cheaper than a full step.
                Phase(
                    name="align",
                    steps=align_steps,
                    batch_utterances=16,
                    ce=0,
                    ctc=0.3,
                    moments=0.3,
                    learning_rate=2e-3,
                ),
                Phase(
                    name="learn",
                    steps=learn_steps,
                    batch_utterances=16,
                    distil=0.3,
                    ctc=0.3,
                    moments=0.3,
                    learning_rate=5e-4,
                    upper_learning_rate=5e-3,
                    warmup_steps=5,
                ),
            ),
        ),
    )


def smoke() -> Config:
    """Every stage in about two minutes, to see that it works; it learns nothing."""
    base = demo()
    return base.model_copy(
        update={
            "ingest": IngestConfig(
                demo=_DEMO_CORPUS.model_copy(
                    update={
                        "train_utterances": 24,
                        "heldout_utterances": 4,
                        "phrasing_utterances": 4,
                        "voice_utterances": 4,
                        "human_utterances": 4,
                        # Some of each kind, however few there are.
                        "random_words_share": 0.25,
                        "noise_share": 0.1,
                    }
                )
            ),
            "text_lora": base.text_lora.model_copy(
                update={
                    "phases": (
                        Phase(name="text", steps=2, batch_utterances=4, distil=0, text_every=2),
                    )
                }
            ),
            "distil": base.distil.model_copy(
                update={
                    "phases": (
                        Phase(name="align", steps=2, batch_utterances=4, ce=0, ctc=0.3),
                        Phase(name="learn", steps=2, batch_utterances=4, ctc=0.3),
                    )
                }
            ),
            "evaluate": EvaluateConfig(max_items=2, latency_items=1, bootstrap_samples=100),
        }
    )


RECIPES: dict[str, Callable[[], Config]] = {
    "demo": demo,
    "demo-long": demo_long,
    "ablation": ablation,
    "ablation-losses": ablation_losses,
    "vora-like": vora_like,
    "whisper-small-qwen": whisper_small_qwen,
    "whisper-large-qwen7b": whisper_large_qwen7b,
    "smoke": smoke,
}


def summary(name: str) -> str:
    """What a recipe is, in a line."""
    return (RECIPES[name].__doc__ or "").splitlines()[0]


def recipe(name: str) -> Config:
    """Return the named config. Raises AuraError for an unknown name."""
    try:
        return RECIPES[name]()
    except KeyError:
        raise unknown("recipe", name, RECIPES) from None
