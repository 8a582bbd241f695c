import time

import pytest
import torch

from aura_core.evaluation.latency import measure, read_timings, write_timings

CPU = torch.device("cpu")


class Sleeper:
    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, seconds, calls

    def first_token(self, item):
        self.calls.append((self.name, item.id))
        assert "audio" in vars(item), "the audio is decoded before the clock runs"
        time.sleep(self.seconds)


@pytest.fixture
def timings(spoken_item):
    calls = []
    models = {"fast": Sleeper("fast", 0.01, calls), "slow": Sleeper("slow", 0.05, calls)}
    items = [spoken_item("one"), spoken_item("two")]
    return measure(models, items, CPU), calls


def test_models_take_turns_on_the_same_clips_after_one_to_warm_up(timings):
    warm_up = [("fast", "one"), ("slow", "one")]
    assert timings[1] == [*warm_up, *warm_up, ("fast", "two"), ("slow", "two")]


def test_the_time_is_that_of_the_model(timings):
    by_model = {t.model: t.ttft_ms for t in timings[0]}
    assert by_model["fast"] >= 10
    assert by_model["slow"] >= 50


def test_timings_come_back(timings, tmp_path):
    uri = str(tmp_path / "latency.jsonl")
    write_timings(uri, timings[0])
    assert read_timings(uri) == timings[0]
