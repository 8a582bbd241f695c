from dataclasses import fields

import pytest
import torch

from aura_core.augmentation_config import AugmentationConfig
from aura_core.cache.index import open_cache
from aura_core.distillation.answers import Answers
from aura_core.distillation.training_set import TrainingSet
from aura_core.models.llm import load_llm
from aura_core.student.audio_embedding import AudioEmbedding, ConvStem
from aura_core.student.prompts import ChatFormat
from aura_core.train_config import TargetWeights

INDICES = [0, 3, 5]


@pytest.fixture(scope="module")
def training_set(cache_uri):
    """Function that builds the set with an augmentation."""
    _, tokenizer = load_llm("pinned:smollm2-135m-instruct", torch.float32)
    embedding = AudioEmbedding(ConvStem(80, 8, 1500), 8, token_rate_hz=12.5)

    def build(augmentation: AugmentationConfig) -> TrainingSet:
        chat = ChatFormat(tokenizer)
        answers = Answers(chat, TargetWeights())
        cache = open_cache(cache_uri)
        return TrainingSet(cache, chat, embedding, [2, 4], answers, augmentation, seed=0)

    return build


def load(data, indices, **options):
    return data.assemble(data.fetch(indices), **options)


def test_augmentation_changes_what_the_student_hears_and_nothing_else(training_set):
    config = AugmentationConfig(noise_probability=1, time_masks=1)
    clean = load(training_set(AugmentationConfig()), INDICES, with_text=True, step=7)
    noisy = load(training_set(config), INDICES, with_text=True, step=7)
    assert all(noisy.teacher[layer].equal(clean.teacher[layer]) for layer in (2, 4))
    assert noisy.num_states.equal(clean.num_states)
    for field in fields(clean.batch):
        same = getattr(noisy.batch, field.name).equal(getattr(clean.batch, field.name))
        assert same == (field.name != "input_features"), field.name
    differs = (noisy.batch.input_features != clean.batch.input_features).any(dim=2)
    assert all(differs[i, : clean.num_states[i]].any() for i in range(len(INDICES)))
    for i, frames in enumerate(clean.batch.num_feature_frames):
        assert not noisy.batch.input_features[i, frames:].any()


def test_a_clip_is_augmented_by_its_step_whatever_the_batch(training_set):
    data = training_set(AugmentationConfig(noise_probability=1))
    batch = load(data, INDICES, with_text=False, step=7).batch
    alone = load(data, [3], with_text=False, step=7).batch
    later = load(data, [3], with_text=False, step=8).batch
    frames = alone.num_feature_frames[0]
    assert alone.input_features[0].equal(batch.input_features[1, :frames])
    assert not alone.input_features.equal(later.input_features)
