import json
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from aura_core.config.augmentation import AugmentationConfig
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.recipes import recipe
from aura_core.config.train import (
    SIMILARITY,
    DistillationConfig,
    LoraConfig,
    Phase,
    TrainConfig,
)
from aura_core.distil.run import FOLDER, train
from aura_core.distil.setup import new_trainer
from aura_core.distil.training_set import TrainingSet
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.ingest.utterances import decode_audio, read_table
from aura_core.report.history import read_history
from aura_core.student.assembly import save_student
from aura_core.student.inference import Responder, load_responder
from aura_core.student.prompts import Prompt
from aura_core.teacher_cache.index import open_cache
from tests.tiny_students import inputs_about

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands for a machine that is gone."""


def run(config, cache_uri, folder, die_after=None, text_lora_uri=None) -> list[float]:
    def on_step(record):
        if record["step"] == die_after:
            raise Killed

    uris = {"cache_uri": cache_uri, "text_lora_uri": text_lora_uri, "output_uri": str(folder)}
    train(config, device=CPU, **uris, on_step=on_step)
    return [record["loss"] for record in read_history(str(folder)).records]


def text_config(config, phase):
    lora = config.lora.model_copy(update={"positions": "all"})
    return config.model_copy(update={"input": "text", "lora": lora, "phases": (phase,)})


def test_a_killed_run_goes_on_with_the_same_losses(either_config, cache_uri, tmp_path):
    noisy = AugmentationConfig(noise_probability=1, time_masks=1)
    config = either_config.model_copy(update={"augmentation": noisy})
    whole = run(config, cache_uri, tmp_path / "whole")
    with pytest.raises(Killed):
        run(config, cache_uri, tmp_path / "cut", die_after=3)
    assert [p.name for p in (tmp_path / "cut" / FOLDER).iterdir()] == ["00000002.safetensors"]
    assert run(config, cache_uri, tmp_path / "cut") == whole
    assert list((tmp_path / "cut" / FOLDER).iterdir()) == []
    weights = sorted(path.relative_to(tmp_path / "whole") for path in
                     (tmp_path / "whole").rglob("*.safetensors"))  # fmt: skip
    assert len(weights) == (3 if config.distillation.handover == "ctc" else 2)
    for name in weights:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_killed_at_random_steps_ends_as_if_it_had_not_been(train_config, cache_uri, tmp_path):
    config = train_config.model_copy(update={"checkpoint_every_steps": 1})
    whole = run(config, cache_uri, tmp_path / "whole")
    script = (
        "import os, signal, sys, torch\n"
        "from aura_core.config.train import TrainConfig\n"
        "from aura_core.distil.run import train\n"
        "torch.set_num_threads(int(sys.argv[5]))\n"
        "def on_step(record):\n"
        "    if record['step'] == int(sys.argv[4]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "config = TrainConfig.model_validate_json(sys.argv[1])\n"
        "uris = {'cache_uri': sys.argv[2], 'output_uri': sys.argv[3]}\n"
        "train(config, device=torch.device('cpu'), **uris, on_step=on_step)\n"
    )
    cut = str(tmp_path / "cut")
    for step in sorted(random.sample(range(1, len(whole) + 1), 2)):
        arguments = [config.model_dump_json(), cache_uri, cut, step, torch.get_num_threads()]
        killed = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert run(config, cache_uri, cut) == whole


def test_a_damaged_checkpoint_is_passed_over(train_config, cache_uri, tmp_path):
    config = train_config.model_copy(update={"checkpoint_every_steps": 1})
    whole = run(config, cache_uri, tmp_path / "whole")
    with pytest.raises(Killed):
        run(config, cache_uri, tmp_path / "cut", die_after=4)
    older, newer = sorted((tmp_path / "cut" / FOLDER).iterdir())
    assert (older.name, newer.name) == ("00000002.safetensors", "00000003.safetensors")
    data = bytearray(newer.read_bytes())
    data[-100] ^= 1
    newer.write_bytes(data)
    steps = []
    uris = {"cache_uri": cache_uri, "output_uri": str(tmp_path / "cut")}
    train(config, device=CPU, **uris, on_step=lambda record: steps.append(record["step"]))
    assert steps == [3, 4, 5]
    assert [record["loss"] for record in read_history(str(tmp_path / "cut")).records] == whole


def test_every_step_draws_by_its_number_over_all_phases(train_config, cache_uri, monkeypatch):
    steps = []
    assemble = TrainingSet.assemble

    def spy(self, fetched, **options):
        steps.append(options["step"])
        return assemble(self, fetched, **options)

    monkeypatch.setattr(TrainingSet, "assemble", spy)
    list(new_trainer(train_config, open_cache(cache_uri), CPU).run())
    assert sorted(steps) == [0, 1, 2, 3, 4]


def test_a_saved_student_answers_as_it_did_and_its_answer_does_not_depend_on_the_batch(
    either_config, cache_uri, tmp_path
):
    trained = new_trainer(either_config, open_cache(cache_uri), CPU)
    for _ in trained.run():
        pass
    student = trained.objective.student.eval()
    save_student(student, either_config, tmp_path)
    responder = load_responder(str(tmp_path), CPU)
    cache = open_cache(cache_uri)
    prompts = [Prompt(TRANSCRIBE, input_features=cache.read(i).log_mel) for i in range(4)]
    together = responder.generate(prompts, 6)
    assert together == Responder(student, trained.chat, None).generate(prompts, 6)
    assert together == [responder.generate([prompt], 6)[0] for prompt in prompts]


def test_text_alone_learns_its_sentences(real_config, cache_uri, tmp_path):
    phase = Phase(
        name="text", steps=8, batch_utterances=6, distil=0, warmup_steps=0, learning_rate=5e-3
    )
    config = text_config(real_config, phase)
    losses = run(config, cache_uri, tmp_path)
    assert losses[-1] < 0.6 * losses[0]
    assert not (tmp_path / "audio_embedding.safetensors").exists()
    assert not (tmp_path / SIMILARITY).exists()


def test_a_student_starts_from_the_text_lora_and_carries_it_along(real_config, cache_uri, tmp_path):
    words = Phase(name="text", steps=8, batch_utterances=6, distil=0, learning_rate=5e-3)
    run(text_config(real_config, words), cache_uri, tmp_path / "text")
    learn = Phase(name="learn", steps=1, batch_utterances=6)
    config = real_config.model_copy(update={"phases": (learn,)})
    run(config, cache_uri, tmp_path / "plain")
    run(config, cache_uri, tmp_path / "taught", text_lora_uri=str(tmp_path / "text"))
    plain, taught = (
        read_history(str(tmp_path / name)).records[0]["ce"] for name in ("plain", "taught")
    )
    assert taught < 0.8 * plain
    expected = load_responder(str(tmp_path / "taught"), CPU).generate(
        [Prompt(TRANSCRIBE, text="stop")], 4
    )
    shutil.rmtree(tmp_path / "text")
    taught = load_responder(str(tmp_path / "taught"), CPU)
    assert taught.generate([Prompt(TRANSCRIBE, text="stop")], 4) == expected


def test_the_upper_blocks_learn_from_cross_entropy_only(real_config, cache_uri):
    lora = LoraConfig(rank=4, alpha=4, blocks=4, upper_rank=2)
    trainer = new_trainer(real_config.model_copy(update={"lora": lora}), open_cache(cache_uri), CPU)
    upper = next(p for n, p in trainer.trainable.items() if ".layers.9.mlp.up_proj.lora_B" in n)
    lower = next(p for n, p in trainer.trainable.items() if ".layers.3.mlp.up_proj.lora_B" in n)
    assert (upper.shape[1], lower.shape[1]) == (2, 4)
    moved = [(record["phase"], bool(lower.any()), bool(upper.any())) for record in trainer.run()]
    assert moved[2] == ("align", True, False)
    assert moved[-1] == ("learn", True, True)


def test_the_upper_blocks_learn_at_their_own_rate(train_config, cache_uri):
    lora = LoraConfig(rank=4, alpha=4, blocks=4, upper_rank=2)
    phase = Phase(
        name="learn",
        steps=1,
        batch_utterances=2,
        warmup_steps=0,
        learning_rate=1e-4,
        upper_learning_rate=1e-2,
    )
    config = train_config.model_copy(update={"lora": lora, "phases": (phase,)})
    trainer = new_trainer(config, open_cache(cache_uri), CPU)
    list(trainer.run())
    moved = {
        block: max(
            float(p.detach().abs().max())
            for n, p in trainer.trainable.items()
            if f".layers.{block}." in n and "lora_B" in n
        )
        for block in (3, 4)
    }
    # From zero, Adam's first step is the rate itself.
    assert moved[3] == pytest.approx(1e-4, rel=0.01)
    assert moved[4] == pytest.approx(1e-2, rel=0.01)


def test_distillation_alone_brings_the_student_closer(real_config, cache_uri, tmp_path):
    phase = Phase(name="align", steps=10, batch_utterances=6, ce=0, warmup_steps=0)
    config = real_config.model_copy(update={"phases": (phase,)})
    run(config, cache_uri, tmp_path)
    similarity = json.loads((tmp_path / SIMILARITY).read_text())
    assert similarity["before"]["layers"] == similarity["after"]["layers"] == [1, 2, 3, 4]
    assert [len(row) for row in similarity["before"]["values"]] == [4, 4, 4, 4]
    assert similarity["after"]["values"] != similarity["before"]["values"]
    records = read_history(str(tmp_path)).records
    first, last = records[0]["distil_blocks"], records[-1]["distil_blocks"]
    assert set(first) == {"1", "2", "3", "4"}
    assert all(last[block] < 0.97 * first[block] for block in first)


def test_a_loss_that_is_not_finite_names_step_and_utterances(train_config, cache_uri, tmp_path):
    phase = Phase(name="wild", steps=30, batch_utterances=6, learning_rate=1e30, warmup_steps=0)
    config = train_config.model_copy(update={"phases": (phase,)})
    with pytest.raises(AuraError, match=r"step \d+ \(wild\): the loss is nan.*utt-0"):
        run(config, cache_uri, tmp_path)


def test_a_loss_that_explodes_names_step_and_advice(train_config, cache_uri, monkeypatch):
    trainer = new_trainer(train_config, open_cache(cache_uri), CPU)
    steps = trainer.run()
    next(steps)
    monkeypatch.setattr("aura_core.distil.trainer._EXPLODED", 1e-3)
    with pytest.raises(AuraError, match=r"step 2 \(align\): the loss is .*lower its learning_rate"):
        next(steps)


def test_out_of_memory_says_what_to_lower(train_config, cache_uri, monkeypatch):
    trainer = new_trainer(train_config, open_cache(cache_uri), CPU)

    def full(*_arguments):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(trainer.objective, "forward", full)
    with pytest.raises(
        AuraError, match=r"step 1 \(align\): out of memory .*micro_batch_utterances"
    ):
        next(trainer.run())


@pytest.mark.parametrize(
    ("settings", "heads"),
    [
        ({"layer_map": "most_similar"}, True),
        ({"layer_map": {2: 1, 4: 4}, "layer_weights": {2: 0, 4: 1}}, True),
        ({"time_map": "interpolate", "loss": "smooth_l1"}, True),
        ({"time_map": "mean", "loss": "mse"}, True),
        ({"loss": "cka"}, False),
        ({"teacher_states": "raw", "head_bias": False}, True),
        ({"attention": "chunked", "chunk_positions": 4}, True),
    ],
)
def test_every_way_to_distil_brings_the_student_closer(train_config, cache_uri, settings, heads):
    phase = Phase(name="align", steps=3, batch_utterances=6, ce=0, warmup_steps=0)
    config = TrainConfig.model_validate(
        {**train_config.model_dump(), "distillation": settings, "phases": [phase.model_dump()]}
    )
    trainer = new_trainer(config, open_cache(cache_uri), CPU)
    assert bool(len(trainer.objective.heads)) == heads
    # Heads that learnt would come closer to a student that does not.
    trainer.objective.heads.requires_grad_(False)
    records = list(trainer.run())
    assert records[-1]["distil"] < records[0]["distil"]
    assert 4 in trainer.objective.layer_map


def test_a_student_like_vora_s_learns_is_saved_and_asked(merged_reader, stem_cache_uri, tmp_path):
    ours = recipe("vora-like").distil
    config = merged_reader(learning_rate=2e-3).model_copy(
        update={"audio_embedding": ours.audio_embedding, "distillation": ours.distillation}
    )
    run(config, stem_cache_uri, tmp_path)
    records = read_history(str(tmp_path)).records
    heard = [record for record in records if "distil" in record]
    assert [record["step"] for record in heard] == [1, 2, 4, 5]
    assert all(set(record["distil_blocks"]) == {"0", "1", "2", "3", "4"} for record in heard)
    assert all(heard[-1]["distil_blocks"][n] < heard[0]["distil_blocks"][n] for n in "01234")
    assert json.loads((tmp_path / SIMILARITY).read_text())["after"]["layers"] == [0, 1, 2, 3, 4]
    prompt = Prompt(TRANSCRIBE, input_features=open_cache(stem_cache_uri).read(0).log_mel)
    assert len(load_responder(str(tmp_path), CPU).generate([prompt], 3)) == 1
    folder = tmp_path / "exported"
    assert export_student(str(tmp_path), folder) == "merged"
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    inputs = inputs_about(processor, np.zeros(16000, dtype=np.float32))
    assert model.generate(**inputs, max_new_tokens=3).shape[1] > inputs["input_ids"].shape[1]


def test_raw_states_are_what_the_loss_is_given(train_config, cache_uri, monkeypatch):
    cache, given = open_cache(cache_uri), {}
    for scale in ("standardised", "raw"):
        distillation = DistillationConfig(teacher_states=scale)
        trainer = new_trainer(
            train_config.model_copy(update={"distillation": distillation}), cache, CPU
        )
        batch = trainer.data.assemble(trainer.data.fetch([0, 5]), with_text=False, step=0)
        targets = given[scale] = []
        loss = replace(
            trainer.objective._loss,
            function=lambda _p, target, weight, targets=targets: targets.append(target * weight),
        )
        monkeypatch.setattr(trainer.objective, "_loss", loss)
        audio = trainer.objective.student(batch.batch, blocks=(1, 2, 3, 4), stop_after=4).audio
        trainer.objective.distillation(batch, audio)
    for layer, (plain, raw) in enumerate(zip(*given.values(), strict=True), start=1):
        codec = cache.codec.layers[layer]
        frames = int(batch.num_states[0])
        torch.testing.assert_close(raw[0, :frames], plain[0, :frames] * codec.std + codec.mean)
        assert not raw[0, frames:].any()


def test_a_killed_run_with_steps_of_text_goes_on_with_the_same_losses(
    merged_reader, cache_uri, tmp_path
):
    config = merged_reader()
    whole = run(config, cache_uri, tmp_path / "whole")
    with pytest.raises(Killed):
        # The last checkpoint is from before the first step of text.
        run(config, cache_uri, tmp_path / "cut", die_after=3)
    assert run(config, cache_uri, tmp_path / "cut") == whole


@pytest.mark.parametrize("stem", ["random", "patch"])
def test_a_student_with_any_stem_can_be_saved_and_asked(train_config, cache_uri, tmp_path, stem):
    ear = train_config.audio_embedding.model_copy(update={"stem": stem})
    config = train_config.model_copy(update={"audio_embedding": ear})
    run(config, cache_uri, tmp_path)
    prompt = Prompt(TRANSCRIBE, input_features=open_cache(cache_uri).read(0).log_mel)
    assert len(load_responder(str(tmp_path), CPU).generate([prompt], 3)) == 1


def test_a_bridge_is_asked_with_the_states_it_was_trained_on(train_config, cache_uri, tmp_path):
    ear = train_config.audio_embedding.model_copy(update={"stem": "encoder"})
    phases = tuple(phase.model_copy(update={"distil": 0}) for phase in train_config.phases)
    changes = {"audio_embedding": ear, "phases": phases}
    losses = run(train_config.model_copy(update=changes), cache_uri, tmp_path)
    assert len(losses) == 5
    bridge, cache = load_responder(str(tmp_path), CPU), open_cache(cache_uri)
    for row in read_table(str(Path(cache_uri).parent / "ingest")).to_pylist():
        heard = bridge.extract_features([decode_audio(row["audio"]["bytes"])])[0]
        cached = cache.read(cache.column("id").index(row["id"])).layers[4]
        # Alone and in a batch bf16 and int8 may round differently.
        assert torch.cosine_similarity(heard, cached, dim=-1).min() > 0.999
        assert len(bridge.generate([Prompt(TRANSCRIBE, input_features=heard)], 3)) == 1


def test_the_teacher_is_never_loaded(train_config, cache_uri, tmp_path):
    script = (
        "import sys, json, torch\n"
        "from aura_core.config.train import TrainConfig\n"
        "from aura_core.distil.run import train\n"
        "config = TrainConfig.model_validate_json(sys.argv[1])\n"
        "uris = {'cache_uri': sys.argv[2], 'output_uri': sys.argv[3]}\n"
        "train(config, device=torch.device('cpu'), **uris, on_step=lambda record: None)\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] == 'whisper']))\n"
    )
    phase = Phase(name="learn", steps=1, batch_utterances=2)
    config = train_config.model_copy(update={"phases": (phase,)})
    arguments = [config.model_dump_json(), cache_uri, str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout.splitlines()[-1]) == []
