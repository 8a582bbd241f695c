"""LoRA that is on at audio positions only, so that text passes through the LLM unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class AudioGate:
    """Multiplies every LoRA of an LLM by one where audio is, and by zero elsewhere."""

    def __init__(self, llm: nn.Module) -> None:
        self._is_audio: Tensor | None = None
        for module in llm.modules():
            if isinstance(module, LoraLayer):
                for down in module.lora_A.values():
                    down.register_forward_hook(self._close)

    @contextmanager
    def over(self, is_audio: Tensor) -> Iterator[None]:
        """Open the gate where `is_audio` (bool [batch, length]) is true, while the block runs."""
        self._is_audio = is_audio
        try:
            yield
        finally:
            self._is_audio = None

    def _close(self, _module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        assert self._is_audio is not None, "a gated LLM runs through Student.decode only"
        return output * self._is_audio[:, :, None].to(output.dtype)
