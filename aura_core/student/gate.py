"""LoRA that is on at audio positions only, so that text passes through the LLM unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class AudioGate:
    """Computes every LoRA of an LLM where audio is, and nowhere else."""

    def __init__(self, llm: nn.Module) -> None:
        # Of [batch * length]; None outside of `over`.
        self._audio_rows: Tensor | None = None
        self._shut = False
        for module in llm.modules():
            if isinstance(module, LoraLayer):
                # PEFT's own forward computes LoRA at every position.
                module.forward = partial(self._forward, module)

    @contextmanager
    def over(self, is_audio: Tensor) -> Iterator[None]:
        """Open the gate where `is_audio` (bool [batch, length]) is true, while the block runs."""
        self._audio_rows = is_audio.flatten().nonzero()[:, 0]
        try:
            yield
        finally:
            self._audio_rows = None

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Close the gate everywhere while the block runs: no LoRA is computed at all."""
        self._shut = True
        try:
            yield
        finally:
            self._shut = False

    def _forward(self, module: LoraLayer, states: Tensor) -> Tensor:
        """The linear map of [batch, length, in] states, plus LoRA in the rows that are audio."""
        result: Tensor = module.get_base_layer()(states)
        if self._shut:
            return result
        assert self._audio_rows is not None, "a gated LLM runs through Student.decode only"
        [(name, down)] = module.lora_A.items()
        heard = states.flatten(0, 1).index_select(0, self._audio_rows)
        # Scaled where it is narrow; in LoRA's own precision, as PEFT has it.
        narrow = down(heard.to(down.get_parameter("weight").dtype)) * module.scaling[name]
        update = module.lora_B[name](narrow)
        # In place: the gradient of a linear map needs its input only.
        result.flatten(0, 1).index_add_(0, self._audio_rows, update.to(result.dtype))
        return result
