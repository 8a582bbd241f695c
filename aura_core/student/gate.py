"""LoRA that is on at audio positions only, so that text passes through the LLM unchanged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class AudioGate:
    """Multiplies every LoRA of an LLM by one where audio is, and by zero elsewhere."""

    def __init__(self, llm: nn.Module) -> None:
        self._is_audio: Tensor | None = None
        self._shut = False
        for module in llm.modules():
            if isinstance(module, LoraLayer):
                for down in module.lora_A.values():
                    down.register_forward_hook(self._close)
                # PEFT's own switch also makes adapters trainable when it turns them on again.
                module.forward = partial(self._skip, module.base_layer, module.forward)

    @contextmanager
    def over(self, is_audio: Tensor) -> Iterator[None]:
        """Open the gate where `is_audio` (bool [batch, length]) is true, while the block runs."""
        self._is_audio = is_audio
        try:
            yield
        finally:
            self._is_audio = None

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Close the gate everywhere while the block runs: no LoRA is computed at all."""
        self._shut = True
        try:
            yield
        finally:
            self._shut = False

    def _skip(
        self, base: nn.Module, adapted: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        return (base if self._shut else adapted)(*args, **kwargs)

    def _close(self, _module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        assert self._is_audio is not None, "a gated LLM runs through Student.decode only"
        return output * self._is_audio[:, :, None].to(output.dtype)
