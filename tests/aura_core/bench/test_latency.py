"""One small benchmark; its figures must be those the shapes give."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache

from aura_core.bench.latency import (
    TEXT_PREFILL,
    bench_latency,
    cache_bytes,
    count_flops,
    peak_bytes,
    weight_bytes,
)
from aura_core.bench.latency_models import MODELS
from aura_core.errors import AuraError

from .conftest import BLOCKS, HEAD_WIDTH, HEADS, WIDTH

CPU = torch.device("cpu")

SQUARE = torch.zeros(100, 100)  # 40,000 bytes


@torch.inference_mode()
def chain():
    first = SQUARE @ SQUARE
    second = first + 1
    del first
    large = torch.zeros(1000, 1000)
    del large
    return second.t() * 2


def test_a_product_is_two_operations_a_pair():
    assert count_flops(chain) == 2 * 100**3


def test_fused_attention_is_counted_on_this_machine():
    query = torch.zeros(1, 2, 10, 16)
    keys = torch.zeros(1, 2, 30, 16)
    flops = count_flops(lambda: functional.scaled_dot_product_attention(query, keys, keys))
    assert flops == 2 * (2 * 2 * 10 * 30 * 16)


def test_the_peak_is_what_is_alive_at_once():
    assert peak_bytes(chain, CPU) == 40_000 + 4_000_000


def test_what_was_there_before_is_not_counted():
    assert peak_bytes(SQUARE.t, CPU) == 0


def test_weights_in_two_modules_are_counted_once():
    layer = nn.Linear(10, 10, bias=False)
    assert weight_bytes([layer, nn.Sequential(layer, nn.Linear(10, 1, bias=False))]) == 440


def test_a_cache_has_keys_and_values_of_every_layer():
    cache = DynamicCache()
    for layer in range(3):
        cache.update(torch.zeros(2, 4, 5, 8), torch.zeros(2, 4, 5, 8), layer)
    assert cache_bytes(cache) == 3 * 2 * (2 * 4 * 5 * 8) * 4


SECONDS, BATCHES = (1, 2), (1, 2)


@pytest.fixture(scope="session")
def result(ingest_uri, config):
    return bench_latency(
        ingest_uri, config, seconds=SECONDS, batches=BATCHES, rounds=1, names=MODELS
    )


@pytest.fixture(scope="session")
def rows(result):
    return {(row["model"], row["seconds"], row["batch"]): row for row in result["table"]}


def test_every_model_is_measured_at_every_length_and_batch(rows):
    names = (*MODELS, TEXT_PREFILL)
    assert set(rows) == {(n, s, b) for n in names for s in SECONDS for b in BATCHES}
    for row in rows.values():
        assert 0 < row["ttft_p50_ms"] <= row["ttft_p95_ms"]
        assert row["prefill_gflop"] > 0
        if row["model"] != TEXT_PREFILL:
            assert row["answer_s"] > row["ttft_p50_ms"] / 1000


def test_ratios_are_auras_time_over_the_others_at_batch_1(result, rows):
    assert set(result["ttft_1s"]) == {f"vs_{n}" for n in (*MODELS[1:], TEXT_PREFILL)}
    ours, theirs = rows["aura_merged", 2, 1], rows["cascade", 2, 1]
    expected = ours["ttft_p50_ms"] / theirs["ttft_p50_ms"]
    assert result["ttft_2s"]["vs_cascade"] == pytest.approx(expected, abs=1e-3)


def test_a_hand_over_reads_about_as_many_slots_as_the_transcript_has_tokens(ingest_uri, config):
    distil = config.distil.model_copy(
        update={
            "distillation": config.distil.distillation.model_copy(update={"handover": "ctc"}),
            "lora": config.distil.lora.model_copy(update={"blocks": 1}),
        }
    )
    found = bench_latency(
        ingest_uri,
        config.model_copy(update={"distil": distil}),
        seconds=(2,),
        batches=(1,),
        rounds=1,
        names=("aura_merged", "aura_gated", "aura_dense", "text_in"),
    )
    rows = {row["model"]: row for row in found["table"]}
    text, dense = rows["text_in"]["positions"], rows["aura_dense"]["positions"]
    for name in ("aura_merged", "aura_gated"):
        assert abs(rows[name]["positions"] - text) < 0.5 * (dense - text)
        assert rows[name]["kv_cache_bytes"] < rows["aura_dense"]["kv_cache_bytes"]


def test_the_kv_cache_holds_every_position_of_every_prompt(rows):
    for row in rows.values():
        values = row["batch"] * row["positions"] * BLOCKS * 2 * HEADS * HEAD_WIDTH
        assert row["kv_cache_bytes"] == 4 * values


def test_audio_takes_its_token_rate_and_text_prefill_as_many_positions(rows):
    assert rows["aura_merged", 2, 1]["audio_tokens_per_second_of_audio"] == 12.5
    assert rows["bridge", 2, 1]["positions"] == rows["aura_merged", 2, 1]["positions"]
    for seconds in SECONDS:
        aura, text = (rows[name, seconds, 1] for name in ("aura_merged", TEXT_PREFILL))
        assert text["positions"] == aura["positions"]
        # What AuRA has on top of the LLM is its embedding: two convolutions and a linear map.
        frames = 50 * seconds
        stem = 2 * frames * (2 * 80 * 3 * 384 + 384 * 3 * 384)
        linear = 2 * -(-frames // 4) * 4 * 384 * WIDTH
        mel = 2 * 201 * 80 * 2 * frames
        on_top = 1e9 * (aura["prefill_gflop"] - text["prefill_gflop"])
        assert on_top == pytest.approx(stem + linear + mel, abs=2e6)


def test_a_gate_an_encoder_and_a_transcript_each_cost_more_operations(rows):
    for seconds in SECONDS:
        for batch in BATCHES:
            merged = rows["aura_merged", seconds, batch]
            for name in ("aura_gated", "bridge", "cascade"):
                assert merged["prefill_gflop"] < rows[name, seconds, batch]["prefill_gflop"]
                assert merged["peak_memory_bytes"] < rows[name, seconds, batch]["peak_memory_bytes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["arua"]}, "no model 'arua'"),
        ({"seconds": [31]}, "at most 30"),
        ({"seconds": [0]}, "more than 0"),
        ({"seconds": []}, "--seconds"),
        ({"batches": [0]}, "--batches"),
        ({"rounds": 0}, "--rounds"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_loaded(changes, message, config):
    settings = {"seconds": [1], "batches": [1], "rounds": 1, "names": MODELS, **changes}
    with pytest.raises(AuraError, match=message):
        bench_latency("/nowhere", config, **settings)
