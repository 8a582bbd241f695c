"""On which device and in which dtype a worker computes, or a command that has no stage."""

from typing import Literal

import torch

from aura_core.config.stage import Runtime
from aura_core.errors import AuraError


def device_for(runtime: Runtime | None) -> torch.device:
    """The one place that decides: a GPU only for a worker that was given one.

    A GPU has no number here. Ray shows a worker its own GPU alone; where all workers of a node
    see all of its GPUs, as in training, who knows the number says it.

    Args:
        runtime: of the stage; None for what has no stage, which takes a GPU if there is one.

    Raises:
        AuraError: if the stage is given a GPU where torch finds none.
    """
    if runtime is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if runtime.gpus_per_worker == 0:
        # Ray may leave a machine's GPUs in sight of such a worker: they are others'.
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise AuraError(
            f"runtime.gpus_per_worker is {runtime.gpus_per_worker:g}, but torch finds no GPU: "
            "install a build of torch for it, or set gpus_per_worker to 0"
        )
    return torch.device("cuda")


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU has still to do; a CPU has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# In which dtype frozen weights are multiplied.

Precision = Literal["fp32", "bf16"]
_DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of `precision` ("fp32", "bf16", or "auto": bf16 where hardware has it)."""
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported()
        else:
            capabilities = torch.cpu.get_capabilities()
            fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
        return torch.bfloat16 if fast else torch.float32
    return _DTYPES[precision]


def precision_name(dtype: torch.dtype) -> Precision:
    """Return what `dtype`, float32 or bfloat16, is called in settings."""
    return "fp32" if dtype == torch.float32 else "bf16"
