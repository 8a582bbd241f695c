from dataclasses import fields

import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from aura_core.config.augmentation import AugmentationConfig
from aura_core.config.instructions import ordinary_instructions
from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import LoraConfig, Phase, TargetWeights, ValidationConfig
from aura_core.distil.setup import new_trainer
from aura_core.distil.training_set import Answers, OrdinaryText, TrainingSet
from aura_core.models.llm import load_llm
from aura_core.student.audio_embedding import AudioEmbedding, ConvStem
from aura_core.student.batch import IGNORE
from aura_core.student.prompts import ChatFormat
from aura_core.targets.answers import SCHEMA, Targets
from aura_core.teacher_cache.index import Sample, open_cache


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    tokenizer: PreTrainedTokenizerBase
    _, tokenizer = load_llm("pinned:smollm2-135m-instruct", torch.float32)
    return ChatFormat(tokenizer, SHORT_CHATML)


def sample(**changes) -> Sample:
    parts = {"key": "a", "text": "turn it on", "instruction": "What?", "response": "switch"}
    return Sample(**{**parts, **changes}, log_mel=torch.zeros(4, 8), layers={})


def own_answer(text: str | None) -> Targets:
    row = {"key": "a", "kind": "self_generated", "response": text, "top_ids": [1, 2] * 3,
           "top_logprobs": [-0.1, -3.0] * 3}  # fmt: skip
    return Targets(pa.Table.from_pylist([row], SCHEMA), top_k=2, instruction="Answer.")


def said(chat, answers) -> list[str]:
    return [chat.decode(answer.continuation.response) for answer in answers]


def test_transcript_and_response_count_alike_by_default(chat):
    answers = Answers(chat, TargetWeights())
    assert said(chat, answers.of(sample())) == ["turn it on", "switch"]
    assert said(chat, answers.of(sample(response=None))) == ["turn it on"]
    assert answers.token_weights(answers.of(sample())) is None


def test_a_kind_without_weight_is_left_out(chat):
    answers = Answers(chat, TargetWeights(transcript=0))
    assert said(chat, answers.of(sample())) == ["switch"]


def test_a_mix_weighs_every_token_of_an_answer(chat):
    answers = Answers(chat, TargetWeights(transcript=0.5, self_generated=2), own_answer("sure"))
    found = answers.of(sample())
    assert said(chat, found) == ["turn it on", "switch", "sure"]
    lengths = [answer.num_tokens for answer in found]
    weights = answers.token_weights(found)
    assert answers.token_weights([]).tolist() == []
    assert weights.tolist() == [0.5] * lengths[0] + [1.0] * lengths[1] + [2.0] * lengths[2]


def test_an_own_answer_that_was_left_out_is_not_learnt(chat):
    answers = Answers(chat, TargetWeights(response=0, self_generated=1), own_answer(None))
    assert said(chat, answers.of(sample())) == ["turn it on"]


def test_the_logits_of_all_answers_stand_in_the_order_of_their_tokens(chat):
    only = TargetWeights(transcript=0, response=0, self_generated=1)
    answers = Answers(chat, only, own_answer("sure"))
    twice = [*answers.of(sample()), *answers.of(sample())]
    ids, logprobs = answers.top_logprobs(twice)
    assert ids.tolist() == [[1, 2]] * 6
    assert logprobs.shape == (6, 2)
    assert Answers(chat, TargetWeights()).top_logprobs([]) == (None, None)


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


CPU = torch.device("cpu")


@pytest.fixture
def text_config(handing_over):
    phase = Phase(name="text", steps=20, batch_utterances=4, distil=0, learning_rate=2e-2)
    changes = {
        "input": "text",
        "lora": LoraConfig(rank=4, alpha=4, blocks=None, positions="all"),
        "distillation": type(handing_over.distillation)(),
        "phases": (phase,),
    }
    return handing_over.model_copy(update=changes)


def every_second(config, **phase):
    changed = config.phases[0].model_copy(update={"text_every": 2, **phase})
    return config.model_copy(update={"phases": (changed,)})


def learnt(batch):
    return [row[row != IGNORE].tolist() for row in batch.batch.labels]


def test_an_instruction_stands_as_in_a_chat_and_is_answered_as_before(text_config, cache_uri):
    trainer = new_trainer(every_second(text_config), open_cache(cache_uri), CPU)
    student, chat = trainer.objective.student, trainer.chat
    text = OrdinaryText(student, chat, len(ordinary_instructions()))
    numbers = [3, 0, len(ordinary_instructions()) + 3]
    batch = text.assemble(numbers)
    asked = [chat.decode(row.tolist()) for row in batch.batch.input_ids]
    assert asked[0].startswith(f"user\n{ordinary_instructions()[3]}")
    answers = learnt(batch)
    assert answers[0] == answers[2] != answers[1]
    logits = student.logits(student(batch.batch).last[batch.batch.labels != IGNORE])
    # Greedy: before training the LLM finds nothing likelier than its own answer.
    assert logits.argmax(dim=-1).tolist() == [each for answer in answers for each in answer]


def test_its_answers_stay_nearer_where_some_steps_keep_them(text_config, cache_uri):
    def drift(config):
        trainer = new_trainer(config, open_cache(cache_uri), CPU)
        text = OrdinaryText(trainer.objective.student, trainer.chat, 40)
        for _ in trainer.run():
            pass
        batch = text.assemble(range(40))
        with torch.no_grad():
            losses = trainer.objective(batch, config.phases[0], step=0)
        return float(losses.ce)

    alone = drift(text_config)
    kept = drift(every_second(text_config, steps=40))
    assert kept < 0.9 * alone


def test_with_logits_it_learns_from_them(text_config, cache_uri):
    trainer = new_trainer(every_second(text_config), open_cache(cache_uri), CPU)
    text = OrdinaryText(trainer.objective.student, trainer.chat, 8, top_k=4)
    batch = text.assemble([1, 2])
    tokens = sum(map(len, learnt(batch)))
    assert batch.top_ids.shape == batch.top_logprobs.shape == (tokens, 4)
    assert batch.top_ids[:, 0].tolist() == [each for answer in learnt(batch) for each in answer]


def test_a_step_of_text_alone_teaches_the_lora_and_nothing_that_hears(merged_reader, cache_uri):
    trainer = new_trainer(merged_reader(text_every=2), open_cache(cache_uri), CPU)
    steps = trainer.run()
    assert {"ce", "distil"} <= next(steps).keys()
    before = {name: value.detach().clone() for name, value in trainer.trainable.items()}
    read = next(steps)
    assert read["text_ce"] == pytest.approx(read["loss"])
    assert read["clips"] == 0
    assert not {"ce", "distil"} & read.keys()
    moved = {n for n, value in trainer.trainable.items() if not value.equal(before[n])}
    assert moved == {n for n in before if "lora_" in n}


def test_clips_kept_out_are_heard_whatever_the_step(merged_reader, cache_uri):
    validation = ValidationConfig(utterances=2, every_steps=1)
    config = merged_reader(steps=3).model_copy(update={"validation": validation})
    records = list(new_trainer(config, open_cache(cache_uri), CPU).run())
    assert "text_ce" in records[2]
    assert all({"ce", "distil"} <= record["validation"].keys() for record in records)
