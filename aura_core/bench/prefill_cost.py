"""What one prefill costs apart from time: operations counted, bytes taken."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from transformers import DynamicCache


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention, as they run.

    A multiplication with an addition is two. Fourier transforms, norms and the like are not
    counted. Attention counts every pair of positions, masked or not.
    """
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={fused: _attention_flops}) as counter:
        work()
    return int(counter.get_total_flops())


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most that tensors take at once while `work` runs on `device`, on top of what was there.

    On CUDA by the allocator's own statistics. On a CPU by watching every operation's results
    until they are freed: buffers inside an operation are not seen. A resident set would say
    less, as it keeps what an earlier model has freed.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device) - before)
    with _LiveStorages() as live:
        work()
    return int(live.most_bytes)


class _LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations make, until these are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most_bytes = 0
        self._now_bytes = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs)):
            # Not made here: weights, or what was there before.
            self._enter(storage, 0)
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            self._enter(storage, storage.nbytes())
        return result

    def _enter(self, storage: torch.UntypedStorage, size_bytes: int) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        self._now_bytes += size_bytes
        self.most_bytes = max(self.most_bytes, self._now_bytes)
        weakref.finalize(storage, self._leave, key, size_bytes)

    def _leave(self, key: int, size_bytes: int) -> None:
        self._seen.discard(key)
        self._now_bytes -= size_bytes


def _storages(values: Any) -> Iterator[torch.UntypedStorage]:
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
            yield leaf.untyped_storage()


def weight_bytes(modules: Iterable[nn.Module]) -> int:
    """Bytes of parameters and buffers, what modules share counted once."""
    tensors = chain.from_iterable(chain(m.parameters(), m.buffers()) for m in modules)
    # Whisper's list of alignment heads is sparse, and no weight.
    dense = [tensor for tensor in tensors if tensor.layout == torch.strided]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in dense}.values())


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of everything a KV cache holds."""
    held = chain.from_iterable(vars(layer).values() for layer in cache.layers)
    return sum(value.nbytes for value in held if isinstance(value, Tensor))
