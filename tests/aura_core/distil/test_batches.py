"""Two real gloo processes, and micro-batches, against one worker with whole batches."""

import subprocess
import sys
from itertools import chain, islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.config.stage import Runtime
from aura_core.config.train import Phase
from aura_core.distil.batches import (
    Position,
    RankBatch,
    Schedule,
    Workers,
    endless_batches,
    epoch_batches,
    pieces,
    rate_share,
)
from aura_core.distil.run import train
from aura_core.distil.setup import new_trainer
from aura_core.report.history import read_history
from aura_core.student import handover
from aura_core.teacher_cache.index import open_cache


@settings(deadline=None)
@given(
    st.lists(st.floats(0.1, 30), min_size=1, max_size=200), st.integers(1, 16), st.integers(0, 5)
)
def test_every_sample_occurs_once_an_epoch(lengths, batch_size, seed):
    batches = epoch_batches(lengths, batch_size, seed, epoch=0)
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size


@settings(deadline=None)
@given(st.integers(0, 60))
def test_skipping_is_the_same_as_having_gone_there(skip):
    lengths = [i % 7 + 0.5 for i in range(50)]
    whole = list(islice(endless_batches(lengths, 8, seed=3), skip + 5))
    assert list(islice(endless_batches(lengths, 8, seed=3, skip=skip), 5)) == whole[skip:]


def test_a_batch_holds_similar_lengths():
    lengths = [float(i % 20) for i in range(640)]
    spreads = [
        max(lengths[i] for i in batch) - min(lengths[i] for i in batch)
        for batch in epoch_batches(lengths, 16, seed=0, epoch=0)
    ]
    assert sum(spreads) / len(spreads) < 4


def test_epochs_differ():
    lengths = [1.0] * 64
    assert epoch_batches(lengths, 8, 0, epoch=0) != epoch_batches(lengths, 8, 0, epoch=1)


ALIGN = Phase(name="align", steps=3, ce=0)
LEARN = Phase(name="learn", steps=2)


def test_a_step_stands_in_its_phase():
    schedule = Schedule([ALIGN, LEARN])
    assert schedule.total_steps == 5
    assert schedule.position(0) == Position(0, ALIGN, 0)
    assert schedule.position(2) == Position(0, ALIGN, 2)
    assert schedule.position(3) == Position(1, LEARN, 0)
    assert schedule.position(5).phase_index == 2


def test_what_follows_a_phase_that_ends_early_begins_early():
    schedule = Schedule([ALIGN, LEARN])
    schedule.phase_steps[0] = 1
    assert schedule.first_step(1) == 1
    assert schedule.position(1) == Position(1, LEARN, 0)
    assert schedule.total_steps == 3


def test_a_rate_rises_in_warm_up_and_ends_at_a_small_share():
    phase = Phase(name="learn", steps=110, warmup_steps=10)
    shares = [rate_share(phase, step) for step in range(110)]
    assert shares[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert shares[10] == pytest.approx(1)
    assert shares[60] == pytest.approx(0.525)
    assert shares[-1] == pytest.approx(0.05, abs=1e-3)


CPU = torch.device("cpu")

WORKER = """
import sys
import torch
import torch.distributed as dist
from aura_core.distil.run import train
from aura_core.student import handover
from aura_core.config.train import TrainConfig
config, cache_uri, output_uri, meeting, first_scale, rank = sys.argv[1:]
handover._FIRST_SCALE = float(first_scale)
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2)
train(
    TrainConfig.model_validate_json(config), device=torch.device("cpu"),
    cache_uri=cache_uri, output_uri=output_uri, on_step=lambda record: None,
)
dist.destroy_process_group()
"""


@pytest.fixture
def config(either_config):
    rate = either_config.phases[0].learning_rate
    # Batches of 5 of 6 clips: the last of an epoch has one clip, and so none for a second worker.
    phases = (
        Phase(name="align", steps=3, batch_utterances=5, ce=0, ctc=0.3, warmup_steps=0,
              learning_rate=rate),
        Phase(name="learn", steps=2, batch_utterances=4, warmup_steps=1, learning_rate=rate),
    )  # fmt: skip
    return either_config.model_copy(update={"phases": phases})


@pytest.fixture
def reading(train_config):
    """A student to be merged, of whose five steps the second and the fourth are of text alone."""
    changes = {"name": "learn", "steps": 5, "batch_utterances": 5, "text_every": 2, "ctc": 0}
    return train_config.model_copy(
        update={
            "lora": train_config.lora.model_copy(update={"positions": "all"}),
            "phases": (train_config.phases[1].model_copy(update=changes),),
        }
    )


@pytest.fixture
def alone(config, cache_uri, tmp_path):
    uris = {"cache_uri": cache_uri, "output_uri": str(tmp_path / "alone")}
    train(config, device=CPU, **uris, on_step=lambda _: None)
    return read_history(str(tmp_path / "alone")).records


def assert_same_steps(found, expected):
    assert [record["step"] for record in found] == [1, 2, 3, 4, 5]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        names = {"loss", "distil", "ctc", "ce", "text_ce"} & theirs.keys()
        values, wanted = ([record[name] for name in sorted(names)] for record in (ours, theirs))
        # Where a gradient is all but zero, Adam makes a whole step of its rounding: norms drift.
        rel, rel_norm = (1e-5, 1e-5) if ours["step"] == 1 else (5e-4, 5e-3)
        assert values == pytest.approx(wanted, rel=rel)
        assert ours["distil_blocks"] == pytest.approx(theirs["distil_blocks"], rel=rel)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=rel_norm)


@pytest.mark.parametrize(
    "runtime",
    [
        Runtime(),
        Runtime(shard_frozen_weights=True, checkpoint_activations=True),
    ],
    ids=["whole", "sharded"],
)
def test_two_workers_take_the_steps_of_one(config, alone, cache_uri, tmp_path, runtime):
    output = str(tmp_path / "two")
    train_with_two(config.model_copy(update={"runtime": runtime}), cache_uri, output)
    assert_same_steps(read_history(output).records, alone)


def train_with_two(config, cache_uri, output):
    arguments = [config.model_dump_json(), cache_uri, output, f"{output}-meeting"]
    arguments.append(str(handover._FIRST_SCALE))
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, *arguments, str(rank)]) for rank in range(2)
    ]
    assert [worker.wait(timeout=240) for worker in workers] == [0, 0]


def test_steps_of_text_are_the_same_for_two_workers_and_in_micro_batches(
    reading, cache_uri, tmp_path
):
    uris = {name: str(tmp_path / name) for name in ("alone", "two", "micro")}
    micro = reading.model_copy(update={"runtime": Runtime(micro_batch_utterances=2)})
    for name, config in (("alone", reading), ("micro", micro)):
        train(
            config, device=CPU, cache_uri=cache_uri, output_uri=uris[name], on_step=lambda _: None
        )
    train_with_two(reading, cache_uri, uris["two"])
    expected = read_history(uris["alone"]).records
    assert [record["step"] for record in expected if "text_ce" in record] == [2, 4]
    assert_same_steps(read_history(uris["two"]).records, expected)
    assert_same_steps(read_history(uris["micro"]).records, expected)


def test_micro_batches_add_up_to_the_batch(config, alone, cache_uri, tmp_path):
    runtime = Runtime(micro_batch_utterances=2)
    train(
        config.model_copy(update={"runtime": runtime}),
        device=CPU,
        cache_uri=cache_uri,
        output_uri=str(tmp_path / "micro"),
        on_step=lambda _: None,
    )
    assert_same_steps(read_history(str(tmp_path / "micro")).records, alone)


def slots_of_all(trainer):
    data = trainer.data.assemble(trainer.data.fetch(range(6)), with_text=True, step=0)
    return int(trainer.objective.student(data.batch).read.is_audio.sum())


@pytest.mark.parametrize("positions", ["audio", "all"])
def test_activations_computed_again_give_the_same_gradients(config, cache_uri, positions):
    lora = config.lora.model_copy(update={"positions": positions})
    phases = (config.phases[1].model_copy(update={"ctc": 0.3}),)
    steps = []
    for runtime in (Runtime(), Runtime(checkpoint_activations=True)):
        changes = {"runtime": runtime, "lora": lora, "phases": phases}
        trainer = new_trainer(config.model_copy(update=changes), open_cache(cache_uri), CPU)
        if trainer.objective.student.handover is not None:
            # With one slot a clip, a wrong order of them would not be seen.
            assert slots_of_all(trainer) > 2 * len(trainer.data.lengths)
        first_of_block = trainer.objective.student.decoder.layers[-1].input_layernorm
        calls: list[int] = []
        first_of_block.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        record = next(trainer.run())
        steps.append((record["loss"], record["gradient_norm"], len(calls)))
    kept, again = steps
    assert again[:2] == pytest.approx(kept[:2], rel=1e-5)
    assert (kept[2], again[2]) == (1, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_utterance_is_trained_on_once_an_epoch_whatever_the_number_of_workers(count):
    lengths = [float(i % 5) for i in range(23)]
    seen: list[int] = []
    for batch in epoch_batches(lengths, 4, seed=0, epoch=0):
        shares = [Workers(rank, count).rank_batch(batch) for rank in range(count)]
        assert all(share.of == len(batch) for share in shares)
        seen += [i for share in shares if share.counts for i in share.indices]
    assert sorted(seen) == list(range(23))


def test_a_worker_without_an_utterance_takes_part_and_does_not_count():
    assert Workers(1, 2).rank_batch([7]) == RankBatch([7], of=1, counts=False)


def test_without_a_process_group_a_worker_is_alone():
    assert Workers.of_this_process() == Workers(0, 1)
    total = Workers().sum(torch.tensor([1.0, 2.0]))
    assert total.tolist() == [1.0, 2.0]


def test_pieces_keep_the_order_and_lose_nothing():
    assert pieces([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert pieces([1, 2, 3], None) == [[1, 2, 3]]
