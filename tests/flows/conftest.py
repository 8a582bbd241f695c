"""What tests of the flow share."""

import pytest


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides that cut recipe `smoke` to one held-out clip, for roads travelled twice."""
    return ["ingest.demo.train_utterances=8", "evaluate.splits=[heldout]", "evaluate.max_items=1"]
