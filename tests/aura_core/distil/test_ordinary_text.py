"""Steps on ordinary instructions: what is learnt of them, and that they keep an LLM's answers."""

import pytest
import torch

from aura_core.config.instructions import ordinary_instructions
from aura_core.config.train import LoraConfig, Phase, ValidationConfig
from aura_core.distil.new_trainer import new_trainer
from aura_core.distil.ordinary_text import OrdinaryText
from aura_core.student.batch import IGNORE
from aura_core.teacher_cache.index import open_cache

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
