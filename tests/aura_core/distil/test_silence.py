"""Training on clips in which nobody speaks, from the utterance table to what is read in noise."""

from itertools import islice

import numpy as np
import pytest
import torch

from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import DistillationConfig, TrainConfig
from aura_core.distil.setup import new_trainer
from aura_core.ingest.synthesis import noise
from aura_core.ingest.utterances import write_part
from aura_core.models.teachers import load_teacher
from aura_core.student.batch import Layout, collate
from aura_core.student.inference import LogMelExtractor
from aura_core.teacher_cache import build
from aura_core.teacher_cache.index import open_cache
from tests.utterance_rows import utterance_row

CPU = torch.device("cpu")
SAID = {"go": 300.0, "stop": 700.0, "no": 1500.0}


def tone(hz, seed):
    """What stands for a word: a tone with an attack, over a little noise."""
    draw = np.random.default_rng(seed)
    time_s = np.arange(round(16_000 * draw.uniform(0.2, 0.35))) / 16_000
    audio = np.sin(2 * np.pi * hz * time_s) * np.minimum(1, 30 * time_s)
    return (0.5 * audio + 0.01 * draw.standard_normal(len(audio))).astype(np.float32)


def quiet(seed):
    """Noise of at most 0.75 s."""
    return noise(np.random.default_rng(seed))[:12_000]


@pytest.fixture(scope="module")
def cache_of(tmp_path_factory):
    """Make a cache of spoken words, and of so many clips of noise."""

    def make(num_noise):
        root = tmp_path_factory.mktemp("quiet")
        clips = [(word, tone(hz, seed)) for seed in range(8) for word, hz in SAID.items()]
        clips += [("", quiet(seed)) for seed in range(num_noise)]
        rows = [
            utterance_row(f"{number}", audio, text=text)
            for number, (text, audio) in enumerate(clips)
        ]
        ingest_uri, uri = str(root / "ingest"), str(root / "teacher_cache")
        write_part(ingest_uri, 0, rows)
        config = TeacherCacheConfig()
        made = build.make_cache(load_teacher(config.teacher, CPU), ingest_uri, uri, config)
        publish_manifest(
            uri, made, stage="teacher_cache", stage_version=1, fingerprint="0" * 64,
            identity=config.identity(), inputs={}, provenance={},
        )  # fmt: skip
        return uri

    return make


def readings(trainer, clips):
    """What CTC spells of clips, by itself."""
    embedding, chat = trainer.objective.student.audio_embedding, trainer.data.chat
    features = LogMelExtractor(80)(clips)
    counts = [int(embedding.num_tokens(torch.tensor(len(each)))) for each in features]
    layouts = [Layout(chat.prefix, count, [], []) for count in counts]
    return [chat.decode(ids) for ids in trainer.objective.ctc_decode(collate(layouts, features))]


@pytest.mark.slow
def test_who_has_trained_on_noise_reads_no_words_in_it(handing_over, cache_of, monkeypatch):
    # As sure as a head on a wide LLM is: so a narrow one learns in few steps.
    monkeypatch.setattr("aura_core.student.handover._FIRST_SCALE", 0.1)
    phase = {
        "name": "align", "steps": 1000, "batch_utterances": 48, "ce": 0, "distil": 0, "ctc": 1,
        "warmup_steps": 0, "learning_rate": 5e-3,
    }  # fmt: skip
    changes = {
        "phases": [phase],
        "lora": {"rank": 16, "alpha": 16, "blocks": 1},
        "distillation": {"handover": "ctc", "ctc_tokens": 1},
    }
    config = TrainConfig.model_validate({**handing_over.model_dump(), **changes})
    words = [tone(hz, 50) for hz in SAID.values()]
    unheard = [quiet(100 + seed) for seed in range(20)]
    hears_all, knows_quiet = (
        new_trainer(config, open_cache(cache_of(number)), CPU) for number in (0, 24)
    )
    for _ in islice(hears_all.run(), 100):
        pass
    assert sum(map(bool, readings(hears_all, unheard))) > 10
    # How many steps it takes to tell the words apart depends on how a processor rounds.
    for number, _ in enumerate(knows_quiet.run(), start=1):
        if number % 50 == 0 and readings(knows_quiet, words) == list(SAID):
            break
    assert readings(knows_quiet, words) == list(SAID)
    assert sum(map(bool, readings(knows_quiet, unheard))) <= 3


def test_both_hand_overs_and_the_text_lora_train_on_what_is_not_said(either_config, cache_of):
    learn = either_config.phases[1].model_copy(update={"batch_utterances": 24, "steps": 1})
    align = either_config.phases[0].model_copy(update={"batch_utterances": 24, "steps": 1})
    lora = either_config.lora.model_copy(update={"positions": "all"})
    text = {
        "input": "text",
        "lora": lora,
        "distillation": DistillationConfig(),
        "phases": (learn.model_copy(update={"distil": 0}),),
    }
    uri = cache_of(1)
    for changes in ({"phases": (align, learn)}, text):
        trainer = new_trainer(either_config.model_copy(update=changes), open_cache(uri), CPU)
        [number] = [i for i, said in enumerate(trainer.data.cache.column("text")) if not said]
        batch = trainer.data.assemble(trainer.data.fetch([number]), with_text=True, step=0)
        # What is to be learnt of it is to say nothing.
        assert batch.batch.labels[batch.batch.labels >= 0].tolist() == [trainer.data.chat.end_id]
        assert batch.transcripts == [[]]
        losses, norm = trainer.update([batch], trainer.config.phases[0], 0)
        assert np.isfinite(losses["loss"])
        assert 0 < norm < float("inf")
