import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache

from aura_core.bench.prefill_cost import cache_bytes, count_flops, peak_bytes, weight_bytes

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
