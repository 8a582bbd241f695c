"""In which dtype frozen weights are multiplied."""

from typing import Literal

import torch

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
