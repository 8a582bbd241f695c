"""In which dtype frozen weights are multiplied."""

import torch


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of `precision` ("fp32", "bf16", or "auto": bf16 where hardware has it)."""
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported()
        else:
            capabilities = torch.cpu.get_capabilities()
            fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
        return torch.bfloat16 if fast else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
