from itertools import chain

from aura_core.evaluation.items import Item
from aura_core.evaluation.models import BATCH_ITEMS, predict


class Echo:
    """Stands for a model: answers with the item's text, and notes its batches."""

    def __init__(self):
        self.batches = []

    def predict(self, items, max_new_tokens):
        self.batches.append([item.duration_s for item in items])
        return [item.text for item in items]


def test_answers_keep_the_order_of_items_that_are_batched_by_length():
    count = 2 * BATCH_ITEMS + 16
    durations = [float(7 * i % 40) for i in range(count)]
    items = [Item(str(i), "", ("",), f"text {i}", d, b"") for i, d in enumerate(durations)]
    model = Echo()
    assert predict(model, items, 4) == [item.text for item in items]
    assert [len(batch) for batch in model.batches] == [BATCH_ITEMS, BATCH_ITEMS, 16]
    assert list(chain(*model.batches)) == sorted(durations, reverse=True)
