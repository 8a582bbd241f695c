from itertools import chain, islice

from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.distillation.sampler import endless_batches, epoch_batches


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
