"""One small benchmark, and how a stream that falls behind is timed."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aura_core.bench import streaming
from aura_core.bench.streaming import bench_streaming, clip_s, streaming_config, time_stream
from aura_core.errors import AuraError

CPU = torch.device("cpu")

SECONDS = (0.8, 2.4)


@pytest.fixture(scope="session")
def result(ingest_uri, config):
    return bench_streaming(ingest_uri, config, seconds=SECONDS, chunk_positions=5, rounds=1)


def test_both_ways_are_measured_at_every_length(result):
    rows = {(row["mode"], row["seconds"]): row for row in result["table"]}
    assert set(rows) == {(mode, each) for mode in streaming.MODES for each in SECONDS}
    for (mode, _), row in rows.items():
        assert 0 < row["ttft_p50_ms"] <= row["ttft_p95_ms"]
        assert (row["busy_share"] > 0) == (mode == "streaming")


def test_ratios_are_of_the_rounds_times(result):
    ttft = {(row["mode"], row["seconds"]): row["ttft_p50_ms"] for row in result["table"]}
    for mode, key in (("streaming", "ttft_2.4s_vs_0.8s"), ("whole", "whole_ttft_2.4s_vs_0.8s")):
        assert result[key] == pytest.approx(ttft[mode, 2.4] / ttft[mode, 0.8], abs=2e-3)
    for each in SECONDS:
        expected = ttft["streaming", each] / ttft["whole", each]
        assert result["streaming_vs_whole"][f"{each:g}s"] == pytest.approx(expected, abs=2e-3)


def test_the_student_is_the_configs_own_but_for_what_a_stream_needs(config, result):
    assert (result["model"], result["chunk_positions"]) == ("aura_gated", 5)
    changed = streaming_config(config.distil, None)
    assert changed.distillation.chunk_positions == 10
    assert changed.lora == config.distil.lora
    causal = config.distil.distillation.model_copy(update={"attention": "causal"})
    changed = streaming_config(config.distil.model_copy(update={"distillation": causal}), None)
    assert (changed.distillation.attention, changed.distillation.chunk_positions) == (
        "causal",
        None,
    )
    assert changed.audio_embedding.log_mel_floor == "fixed"


def test_clips_of_all_lengths_end_at_the_same_place_of_a_chunk(config):
    chunked = streaming_config(config.distil, 10)
    for share in (0, 0.25, 0.9):
        left = {round(clip_s(chunked, each, share) / 0.8 % 1, 6) % 1 for each in (5, 15, 30)}
        assert left == {round(1 - share, 6) % 1}
    assert clip_s(chunked, 30, 0) == pytest.approx(29.6)
    assert clip_s(streaming_config(config.distil, 25), 30, 0) == pytest.approx(30)


@dataclass
class Clock:
    """A clock that only work moves on."""

    now: float = 0.0

    def work(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("push_s", "ttft_s"),
    [
        # Each piece is done before the next: its own work and the answer's are waited for.
        (0.03, 0.03 + 0.5),
        # Ten pieces of 0.2 s of work, the first after 0.1 s, the last 0.9 s later.
        (0.2, 0.1 + 10 * 0.2 - 1.0 + 0.5),
    ],
)
def test_what_falls_behind_while_speech_arrives_counts(push_s, ttft_s, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(streaming, "perf_counter", lambda: clock.now)
    stream = SimpleNamespace(
        push=lambda _: clock.work(push_s),
        stream=lambda *_: iter([clock.work(0.5)]),
    )
    responder = SimpleNamespace(streaming=lambda: stream)
    heard = time_stream(responder, np.zeros(16_000, dtype=np.float32), CPU)
    assert heard.ttft_s == pytest.approx(ttft_s)
    assert heard.busy_share == pytest.approx(10 * push_s)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": [5]}, "at least two lengths"),
        ({"seconds": [5, 31]}, "to 30"),
        ({"seconds": [0.5, 5]}, r"from 1\.6"),
        ({"rounds": 0}, "--rounds"),
        ({"chunk_positions": 1}, "--chunk-positions"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_loaded(changes, message, config):
    settings = {"seconds": [5, 30], "chunk_positions": None, "rounds": 1, **changes}
    with pytest.raises(AuraError, match=message):
        bench_streaming("/nowhere", config, **settings)
